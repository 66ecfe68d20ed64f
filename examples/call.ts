// Runs a plugin on a box and calls it: one answer, then a stream of them.
//
//   node examples/run.mjs call <destination> <program> [arguments…]
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
  stderr: process.stderr, // the plugin's log
});
const demo = await client.dispense("demo", AbortSignal.timeout(30_000));

const { text } = await demo.greet({ text: "from an example" });
console.log(text);

let received = 0;
for await (const piece of demo.stream({ amount: 100 })) received += piece.text.length;
console.log(`Received ${received} characters.`);
