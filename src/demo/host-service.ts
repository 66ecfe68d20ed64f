import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import type { Socket } from "node:net";
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
  // The connections themselves: one that never finishes its TLS handshake has no session.
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("close", () => sockets.delete(socket))));
  server.on("sessionError", () => {});
  server.listen(path);
  await once(server, "listening");
  return {
    address: { network: "unix", path },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
