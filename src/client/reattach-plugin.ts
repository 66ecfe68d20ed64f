import { PluginError } from "../contract/errors.ts";
import type { AttachedRunner } from "../contract/runner.ts";
import { openHostStream, openPluginStream } from "../dial/open-plugin-stream.ts";
import { checkVersion } from "../handshake/handshake-line.ts";
import { within } from "../lifetime/deadline.ts";
import { tooSlow } from "./failures.ts";
import { PluginConnection } from "./plugin-connection.ts";
import { attachProcess } from "./reattach/attach-process.ts";
import type { ResolvedClientOptions } from "./resolve-options.ts";
import type { Running } from "./running.ts";

/**
 * Finds a plugin that runs already and connects to it. It is not ended if that fails.
 *
 * @param found is told the runner as soon as there is one
 * @throws {PluginError} `not-found`; `timeout`; `aborted`; what the `ReattachFunc` or the connection threw
 */
export async function reattachPlugin(
  options: ResolvedClientOptions,
  found: (runner: AttachedRunner) => void,
  until: { signal: AbortSignal; killed: AbortSignal },
): Promise<Running> {
  const { reattach, handshakeConfig, sets, tls, unixSocketConfig, startTimeoutMs: timeoutMs } = options;
  if (!reattach) throw new PluginError("bad-options", "`reattach` must be given.");
  const attach = options.reattachFunc ?? attachProcess({ ...reattach, startTime: reattach.processStartTime });
  const limits = { signal: until.signal, until: [until.killed], timeoutMs, onTimeout: tooSlow };
  const runner = await within(limits, (over) => attach(over));
  if (!reattach.test) found(runner);
  const { addr, pluginAddr } = reattach;
  // Hosts in Go leave the version out.
  const version = reattach.protocolVersion || (handshakeConfig.protocolVersion ?? 0);
  checkVersion(version, [...sets.keys()]);
  // An address on this side is used as it is, as in go-plugin. One on the other side is the runner's to reach.
  const byRunner = pluginAddr !== undefined && options.reattachFunc !== undefined;
  const address = byRunner ? pluginAddr : addr;
  const open = (signal: AbortSignal) =>
    byRunner ? openPluginStream(runner, address, signal) : openHostStream(address, signal);
  const { tempDir } = unixSocketConfig;
  const plugin = { runner, tls, open, multiplex: false, tempDir };
  const connection = await within(
    limits,
    (over) => PluginConnection.open(plugin, over),
    (late) => late.close(new PluginError("closed", "The start was given up.")),
  );
  const side = byRunner ? "plugin" : "host";
  const plugins = sets.get(version) ?? {};
  return { runner, version, plugins, address, side, tls, connection, logged: Promise.resolve(), dropTap: () => {} };
}
