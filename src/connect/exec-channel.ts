import type { ClientChannel } from "ssh2";
import type { ExecChannel } from "../contract/connection.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { later } from "../lifetime/later.ts";

/**
 * Sees an ssh2 session channel as one command with three streams.
 *
 * @param lost settles what is open too, because a channel says that it is closed only to those who read it to its end
 */
export function execChannel(channel: ClientChannel, lost: AbortSignal): ExecChannel {
  const exited = later<ExitStatus | undefined>();
  const closed = later<void>();
  const end = () => {
    lost.removeEventListener("abort", end);
    exited.resolve(undefined);
    closed.resolve();
  };
  channel.on("exit", (code: number | null, signal?: string) => {
    exited.resolve(code !== null ? { code, signal: null } : { code: null, signal: signal ?? "SIGKILL" });
  });
  channel.on("close", end);
  lost.addEventListener("abort", end);
  if (lost.aborted) end();
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exited: exited.promise,
    closed: closed.promise,
    signal: (name) => channel.signal(name),
    close: () => channel.close(),
  };
}
