// Reads a stream of answers, as fast as it likes: the plugin waits for a slow reader. Who has heard enough leaves the loop,
// which ends the call, or aborts its signal.
//
//   node examples/run.mjs stream <destination> <program> [arguments…]
import { Code, ConnectError } from "@connectrpc/connect";
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
});
const demo = await client.dispense("demo");

let received = 0;
for await (const piece of demo.stream({ amount: 5_000 })) received += piece.text.length;
console.log(`All of it: ${received} characters.`);

for await (const piece of demo.stream({ amount: 5_000 })) {
  console.log(`Enough after ${piece.text.length}.`);
  break;
}

const giveUp = new AbortController();
try {
  for await (const _piece of demo.stream({ amount: 5_000 }, { signal: giveUp.signal })) giveUp.abort();
} catch (failure) {
  console.log(`Given up: ${Code[ConnectError.from(failure).code]}.`);
}
