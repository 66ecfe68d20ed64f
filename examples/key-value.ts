// Hosts the plugin of go-plugin's own example, a store of keys and values in Go. What `dispense` gives has the types of the
// service that the name stands for.
//
//   GOBIN=$PWD go install github.com/hashicorp/go-plugin/examples/grpc/plugin-go-grpc@latest
//   node examples/run.mjs key-value <destination> <program> [arguments…]
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { KV } from "./gen/upstream_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "BASIC_PLUGIN", magicCookieValue: "hello" },
  plugins: { kv_grpc: KV },
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
});
const kv = await client.dispense("kv_grpc");

await kv.put({ key: "greeting", value: new TextEncoder().encode("Hello") });
const { value } = await kv.get({ key: "greeting" });
console.log(new TextDecoder().decode(value));
