// The plugin of go-plugin's bidirectional example calls a service on this side, and `grpcBrokerMultiplex` carries that call in
// the one connection that there is: the box need not allow anything to be forwarded to it.
//
//   GOBIN=$PWD go install github.com/hashicorp/go-plugin/examples/bidirectional/plugin-go-grpc@latest
//   node examples/run.mjs multiplex <destination> <program> [arguments…]
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { AddHelper, Counter } from "./gen/upstream_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "BASIC_PLUGIN", magicCookieValue: "hello" },
  plugins: { counter: Counter },
  grpcBrokerMultiplex: true,
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
});
const counter = await client.dispense("counter");

for (const value of [40n, 2n]) {
  const addServer = client.broker.nextId();
  await using _adder = await client.broker.acceptAndServe(addServer, (router) => {
    router.service(AddHelper, {
      sum: ({ a, b }) => {
        console.log(`The plugin asks for ${a} + ${b}.`);
        return { sum: a + b };
      },
    });
  });
  await counter.put({ addServer, key: "answer", value });
}
console.log(`It counts ${(await counter.get({ key: "answer" })).value}.`);
