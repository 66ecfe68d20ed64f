// One client starts a plugin and writes down where it is; another takes it over from that text, calls it and ends it. The
// text is all that is needed, so the second client may just as well be in another process of this machine.
//
//   node examples/run.mjs reattach <program> [arguments…]
import { LocalRunner, parseReattachConfig } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [program, ...args] = process.argv.slice(2);
if (!program) throw new TypeError("Say what: <program> [arguments…]");
const handshakeConfig = { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" };

// Nobody else can have the certificates that AutoMTLS makes for one start, so it is off.
await using first = new Client({
  handshakeConfig,
  autoMtls: false,
  runnerFunc: ({ environment }) => new LocalRunner({ command: [program, ...args], environment }),
});
await first.start();
const note = JSON.stringify(await first.reattachConfig());
console.log(note);

await using second = new Client({
  handshakeConfig,
  plugins: { demo: Demo },
  reattach: parseReattachConfig(JSON.parse(note)),
});
const demo = await second.dispense("demo");
const { text } = await demo.greet({ text: "from a second host" });
console.log(text);

await second.kill();
const { kind } = await first.exitReason();
console.log(`The first host was told: ${kind}.`);
