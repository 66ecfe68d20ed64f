// Many plugins on one box, over one SSH connection.
//
//   node examples/run.mjs pool <destination> <program> [arguments…]
import { createClient } from "@connectrpc/connect";
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
      handshake: { cookieKey: "GO_PLUGIN_SSH_DEMO", cookieValue: "hello", protocolVersions: [1] },
      createRunner: (environment) => new SshRunner({ pool, destination, command: [program, ...args], environment }),
    }),
);
try {
  const greetings = clients.map(async (client, n) => {
    const demo = createClient(Demo, await client.start());
    const { text } = await demo.greet({ text: `from client ${n + 1}` });
    console.log(text);
  });
  await Promise.all(greetings);
  console.log(`Connections: ${pool.size}.`);
} finally {
  await Promise.all(clients.map((client) => client.kill()));
}
