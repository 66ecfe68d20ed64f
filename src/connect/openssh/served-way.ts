import { createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import { PluginError } from "../../contract/errors.ts";
import { join } from "../../lifetime/join.ts";
import type { Settings } from "../settings.ts";
import type { Errand, OpenHop } from "../way/errand.ts";
import { openWay } from "../way/open-way.ts";
import { isGiven } from "../way/parse-hops.ts";
import type { Way } from "../way/way.ts";

const BRIDGE = fileURLToPath(new URL("./bridge.mjs", import.meta.url));

/** A way to the server that `ssh` gets to by a proxy command. */
export interface ServedWay extends Pick<Way, "broken" | "hold" | "explain"> {
  /** The value of ProxyCommand. */
  readonly command: string;
  /** Ends the way and what led to it. Never rejects. */
  close(): Promise<void>;
}

/** Whether the settings name jump hosts or a proxy command. One that passes a descriptor is run by `ssh` itself. */
export function isServed({ options: { proxyJump, proxyCommand }, needsOpenSsh }: Settings): boolean {
  return isGiven(proxyJump) || (isGiven(proxyCommand) && !needsOpenSsh.includes("ProxyUseFdpass"));
}

/**
 * Goes through the jump hosts as for `ssh2`, each by its own configuration and with its own verified host key, or runs
 * the proxy command, and lets `ssh` go on from there.
 *
 * @param path where to listen for `ssh`: one connection is taken, and no more
 * @throws {PluginError} `config-error` for a command with tokens that a shell would act upon, or what connecting to a
 *   hop threw
 */
export async function serveWay(
  settings: Settings,
  openHop: OpenHop,
  errand: Errand,
  path: string,
  signal: AbortSignal,
): Promise<ServedWay> {
  const way = await openWay(settings, openHop, errand, signal);
  let server: Server | undefined;
  const close = async () => {
    server?.close();
    await way.close();
  };
  try {
    server = await listen(path, way);
    // A way that keeps the process alive does so by itself.
    server.unref();
  } catch (failure) {
    await close();
    throw failure;
  }
  const command = [process.execPath, BRIDGE, path].map(quoted).join(" ");
  return {
    command,
    hold: (keepAlive) => way.hold(keepAlive),
    explain: (failure) => way.explain(failure),
    close,
    ...(way.broken && { broken: way.broken }),
  };
}

function listen(path: string, way: Way): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    server.close();
    join(socket, way.stream);
  });
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new PluginError("connect-failed", `Nothing can listen on ${path} here: ${cause.message}.`, { cause }));
    });
    server.listen({ path }, () => resolve(server));
  });
}

/** A word for the login shell that `ssh` runs a proxy command with; it has no tokens. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''").replaceAll("%", "%%")}'`;
}
