// The same on this machine: `LocalRunner` needs no destination, and the plugin ends in the same cases.
//
//   node examples/run.mjs local <program> [arguments…]
import { LocalRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [program, ...args] = process.argv.slice(2);
if (!program) throw new TypeError("Say what: <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  runnerFunc: ({ environment }) => new LocalRunner({ command: [program, ...args], environment }),
});
const demo = await client.dispense("demo");

const { text } = await demo.greet({ text: "from this machine" });
console.log(text);
