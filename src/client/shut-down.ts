import { within } from "../lifetime/deadline.ts";
import type { ResolvedClientOptions } from "./resolve-options.ts";
import type { Running } from "./running.ts";

/** Asks a plugin to end by itself, and waits a little. Resolves in any case; it may live on. */
export async function shutDown(
  { connection, runner }: Running,
  { shutdownTimeoutMs: timeoutMs, logger }: ResolvedClientOptions,
): Promise<void> {
  const isGone = async () => {
    if (!(await connection.channel.shutdown(timeoutMs))) return false;
    return within({ timeoutMs }, (over) => runner.wait(over)).then(
      () => true,
      () => false,
    );
  };
  if (await isGone()) logger.log("debug", "plugin exited", { id: runner.id });
  else logger.log("warn", "plugin failed to exit gracefully", { id: runner.id });
}
