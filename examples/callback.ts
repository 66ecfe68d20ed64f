// The plugin on the box calls a service on this side, through go-plugin's broker: `acceptAndServe` serves it under an id
// that the plugin is told, and its calls come back through the SSH connection with the certificates of the plugin's own.
//
//   node examples/run.mjs callback <destination> <program> [arguments…]
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo, Host } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
});
const demo = await client.dispense("demo");

const id = client.broker.nextId();
await using _service = await client.broker.acceptAndServe(id, (router) => {
  router.service(Host, { greet: ({ text }) => ({ text: `Hello ${text}, this is the host.` }) });
});
const { text } = await demo.callBack({ amount: id });
console.log(text);
