import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createSecureServer, type ServerHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { GrpcTarget } from "../client/grpc-target.ts";
import type { Address } from "../contract/address.ts";
import { Host } from "./gen/demo_pb.ts";

/** A service of the host's, for the plugin to call. */
export interface HostService extends AsyncDisposable {
  readonly address: Address;
}

/** Serves `Host` on a unix socket that only we can reach, to the plugin alone: it must show its certificate. */
export async function serveHost(tls: NonNullable<GrpcTarget["tls"]>): Promise<HostService> {
  const directory = await mkdtemp(join(tmpdir(), "gps-demo-"));
  const path = join(directory, `host-${randomBytes(4).toString("hex")}`);
  const server = createSecureServer(
    {
      cert: tls.certificate,
      key: tls.privateKey,
      ca: tls.rootCertificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    connectNodeAdapter({
      routes: (router) => router.service(Host, { greet: ({ text }) => ({ text: `The host greets ${text}.` }) }),
    }),
  );
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) =>
    sessions.add(session.on("error", () => {}).on("close", () => sessions.delete(session))),
  );
  server.listen(path);
  await once(server, "listening");
  return {
    address: { network: "unix", path },
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true, force: true });
    },
  };
}
