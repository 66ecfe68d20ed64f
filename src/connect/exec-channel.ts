import type { ClientChannel } from "ssh2";
import type { ExecChannel } from "../contract/connection.ts";
import type { ExitStatus } from "../contract/runner.ts";

/**
 * Sees an ssh2 session channel as one command with three streams.
 *
 * @param lost resolves `exited` too, because a channel says that it is closed only to those who read it to its end
 */
export function execChannel(channel: ClientChannel, lost: AbortSignal): ExecChannel {
  const exited = new Promise<ExitStatus | undefined>((resolve) => {
    const onLost = () => resolve(undefined);
    lost.addEventListener("abort", onLost, { once: true });
    const end = (status?: ExitStatus) => {
      lost.removeEventListener("abort", onLost);
      resolve(status);
    };
    channel.on("exit", (code: number | null, signal?: string) => {
      end(code !== null ? { code, signal: null } : { code: null, signal: signal ?? "SIGKILL" });
    });
    channel.on("close", () => end());
  });
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exited,
    closed: new Promise((resolve) => {
      channel.on("close", resolve);
      if (lost.aborted) resolve(undefined);
      exited.then(() => lost.aborted && resolve(undefined));
    }),
    signal: (name) => channel.signal(name),
    close: () => channel.close(),
  };
}
