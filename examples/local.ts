// The same on this machine: `LocalRunner` needs no destination, and the plugin ends in the same cases.
//
//   node examples/run.mjs local <program> [arguments…]
import { createClient } from "@connectrpc/connect";
import { LocalRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [program, ...args] = process.argv.slice(2);
if (!program) throw new TypeError("Say what: <program> [arguments…]");

await using client = new Client({
  handshake: { cookieKey: "GO_PLUGIN_SSH_DEMO", cookieValue: "hello", protocolVersions: [1] },
  createRunner: (environment) => new LocalRunner({ command: [program, ...args], environment }),
});
const demo = createClient(Demo, await client.start());

const { text } = await demo.greet({ text: "from this machine" });
console.log(text);
