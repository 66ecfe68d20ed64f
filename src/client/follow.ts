import type { PluginError } from "../contract/errors.ts";
import { syncStdio } from "../dial/sync-stdio.ts";
import type { ExitReason } from "./exit-reason.ts";
import { pluginExited } from "./failures.ts";
import type { ResolvedClientOptions } from "./resolve-options.ts";
import type { Running } from "./running.ts";

/**
 * Opens what go-plugin opens on each connection, and closes all of it with a reason when the plugin is gone.
 *
 * @param gone is aborted at that moment
 * @param onEnd is told why
 */
export function follow(
  { runner, connection }: Running,
  { syncStdout, syncStderr, logger }: ResolvedClientOptions,
  gone: AbortController,
  onEnd: (reason: ExitReason) => void,
): void {
  void syncStdio(connection.channel.transport, { stdout: syncStdout, stderr: syncStderr }, gone.signal);
  connection.broker.start();
  const end = (error: PluginError, reason: ExitReason) => {
    logger.log("info", "plugin process exited", { id: runner.id, how: error.message });
    gone.abort(error);
    void connection.close(error);
    onEnd(reason);
  };
  runner.wait().then(
    (exit) => end(pluginExited(exit), { kind: "exited", exit }),
    (error) => end(error, { kind: error.code === "connection-lost" ? "connection-lost" : "start-failed", error }),
  );
}
