// Calls the plugin with @grpc/grpc-js instead of Connect: `grpcTarget()` gives an address on this side, certificates and
// channel options. Generated clients take them in the same way: `new DemoClient(target, credentials, options)`.
//
//   node examples/run.mjs grpc-js <destination> <program> [arguments…]
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { credentials, Client as GrpcClient } from "@grpc/grpc-js";
import { SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { type Text, TextSchema } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  runnerFunc: ({ environment }) => new SshRunner({ destination, command: [program, ...args], environment }),
});
await client.start();

const { target, tls, options } = await client.grpcTarget();
const grpc = new GrpcClient(
  target,
  tls ? credentials.createSsl(tls.rootCertificate, tls.privateKey, tls.certificate) : credentials.createInsecure(),
  options,
);
try {
  const greet = promisify((request: Text, done: (failure: Error | null, answer?: Text) => void) =>
    grpc.makeUnaryRequest(
      "/demo.Demo/Greet",
      (message: Text) => Buffer.from(toBinary(TextSchema, message)),
      (bytes) => fromBinary(TextSchema, bytes),
      request,
      done,
    ),
  );
  const answer = await greet(create(TextSchema, { text: "from grpc-js" }));
  console.log(answer?.text);
} finally {
  grpc.close();
}
