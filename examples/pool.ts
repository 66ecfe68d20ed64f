// Many plugins on one box, over one SSH connection.
//
//   node examples/run.mjs pool <destination> <program> [arguments…]
import { ConnectionPool, SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

// How to log in is an option of the pool, for all its runners: `new ConnectionPool({ identityFile: "~/.ssh/build" })`.
await using pool = new ConnectionPool();
const clients = ["one", "two", "three"].map(
  () =>
    new Client({
      handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
      plugins: { demo: Demo },
      runnerFunc: ({ environment }) => new SshRunner({ pool, destination, command: [program, ...args], environment }),
    }),
);
try {
  const greetings = clients.map(async (client, n) => {
    const demo = await client.dispense("demo");
    const { text } = await demo.greet({ text: `from client ${n + 1}` });
    console.log(text);
  });
  await Promise.all(greetings);
  console.log(`Connections: ${pool.size}.`);
} finally {
  await Promise.all(clients.map((client) => client.kill()));
}
