// The plugin on the box calls a service on this side. Its calls come back through the SSH connection: `hostToPlugin` makes
// the service's address reachable there, and both sides show the certificates that protect the plugin's own connection.
//
//   node examples/run.mjs callback <destination> <program> [arguments…]
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { formatAddress, SshRunner } from "go-plugin-ssh";
import { Client } from "go-plugin-ssh/client";
import { Demo, Host } from "../src/demo/gen/demo_pb.ts";

const [destination, program, ...args] = process.argv.slice(2);
if (!destination || !program) throw new TypeError("Say where and what: <destination> <program> [arguments…]");

const runners: SshRunner[] = [];
await using client = new Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
  plugins: { demo: Demo },
  runnerFunc: ({ environment }) => {
    const runner = new SshRunner({ destination, command: [program, ...args], environment });
    runners.push(runner);
    return runner;
  },
});
const demo = await client.dispense("demo");
const [runner] = runners;
const { tls } = await client.grpcTarget();
if (!runner || !tls) throw new TypeError("A started client has a runner, and certificates unless AutoMTLS is off.");

// A gRPC server of this side, on a unix socket that only we can reach, for callers that show the plugin's certificate.
const service = createSecureServer(
  { cert: tls.certificate, key: tls.privateKey, ca: tls.rootCertificate, requestCert: true },
  connectNodeAdapter({
    routes: (router) => router.service(Host, { greet: ({ text }) => ({ text: `Hello ${text}, this is the host.` }) }),
  }),
);
const directory = await mkdtemp(join(tmpdir(), "callback-"));
try {
  const path = join(directory, "host");
  await once(service.listen(path), "listening");

  const there = await runner.hostToPlugin({ network: "unix", path });
  const { text } = await demo.callBack({ text: formatAddress(there) });
  console.log(text);
} finally {
  service.close();
  await rm(directory, { recursive: true });
}
