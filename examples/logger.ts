// What the plugin logs, line by line with its level and its fields, and a little of the host's own. A logger is three
// functions; those of `consoleLogger()` write what hclog writes.
//
//   node examples/run.mjs logger <destination> <program> [arguments…]
import { SshRunner } from "go-plugin-ssh";
import { Client, type Logger } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

/** Writes a line of JSON for each message. */
function jsonLogger(name: string): Logger {
  return {
    isEnabled: (level) => level !== "trace",
    log: (level, message, fields) => console.log(JSON.stringify({ name, level, message, ...fields })),
    named: (child) => jsonLogger(`${name}.${child}`),
  };
}

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  autoMtls: false,
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
  logger: jsonLogger("host"),
});
const demo = await client.dispense("demo");
await demo.greet({ text: "from an example" });
