// Hosts a plugin that is written in Python. It knows nothing of AutoMTLS, as most that are not written in Go; SSH encrypts
// the way to it.
//
//   scp examples/python/plugin.py build-7:
//   node examples/run.mjs python build-7 python3 plugin.py
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  autoMtls: false,
  // An interpreter may take its time to leave.
  shutdownTimeoutMs: 10_000,
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
});
const demo = await client.dispense("demo");

const { text } = await demo.greet({ text: "from Node" });
console.log(text);

let received = 0;
for await (const piece of demo.stream({ amount: 100 })) received += piece.text.length;
console.log(`Received ${received} characters.`);

await client.kill();
console.log("It left:", await client.wait());
