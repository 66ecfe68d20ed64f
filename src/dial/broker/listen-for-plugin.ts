import { randomInt } from "node:crypto";
import { chmod } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import type { Address } from "../../contract/address.ts";
import type { Listener } from "../../contract/connection.ts";
import { PluginError } from "../../contract/errors.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** What `sun_path` holds, less its NUL. Node cuts off longer ones without a word. */
const LONGEST_PATH = process.platform === "linux" ? 107 : 103;

/** What go-plugin would listen on here. */
const OWN_NETWORK = process.platform === "win32" ? "tcp" : "unix";

/**
 * Listens on the host's side: on a unix socket that only this account can use, in `directory`; on a free port of
 * 127.0.0.1 on Windows, as go-plugin does, or if `network` says so.
 *
 * @throws {PluginError} `forward-failed`
 */
export async function listenForPlugin(
  directory: string,
  onStream: (stream: Duplex) => void,
  network: "unix" | "tcp" = OWN_NETWORK,
): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onStream).unref();
  server.on("error", (failure) => debug("listener: %s", failure.message));
  const close = async () => void server.close();
  try {
    return { address: await listen(server, directory, network), close };
  } catch (cause) {
    await close();
    if (cause instanceof PluginError) throw cause;
    throw new PluginError("forward-failed", `The host cannot listen for the plugin: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

async function listen(server: Server, directory: string, network: "unix" | "tcp"): Promise<Address> {
  if (network === "tcp") {
    await bound(server, { host: "127.0.0.1", port: 0 });
    const at = server.address();
    const port = typeof at === "object" && at ? at.port : 0;
    return { network: "tcp", host: "127.0.0.1", port };
  }
  const path = join(directory, `plugin${randomInt(2 ** 32)}`);
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    throw new PluginError("forward-failed", `The socket path ${JSON.stringify(path)} is too long for this system.`, {
      hint: "Set TMPDIR to a directory with a short name.",
    });
  }
  await bound(server, { path });
  await chmod(path, 0o600);
  return { network: "unix", path };
}

function bound(server: Server, at: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
