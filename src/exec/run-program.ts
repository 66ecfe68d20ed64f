import type { ExecChannel } from "../contract/connection.ts";
import { within } from "../lifetime/deadline.ts";
import { Tail } from "../lifetime/tail.ts";
import { EXEC_REQUEST, frame, randomWord, readProgram } from "./loader.ts";
import { quote } from "./quote.ts";

/** More than any of our own programs prints. */
const OUTPUT_LIMIT = 64 * 1024;

/** Starts a command on the box: `Connection.exec`, or a child process of ours for a plugin on this machine. */
export type Exec = (command: string, signal?: AbortSignal) => Promise<ExecChannel>;

/**
 * Runs one of our small programs on the box, in a channel of its own, and returns the lines that it reported as
 * `key=value`. Whatever else the login shell printed is left out.
 *
 * @param name a file beside this one, or several that make one program
 * @param variables set before it runs; they travel over stdin
 */
export async function runProgram(
  exec: Exec,
  name: string | readonly string[],
  variables: Readonly<Record<string, string>>,
  { signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs: number },
): Promise<Record<string, string>> {
  return within({ signal, timeoutMs }, async (until) => {
    const channel = await exec(EXEC_REQUEST, until);
    channel.stdin.on("error", () => {});
    channel.stderr.on("error", () => {}).resume();
    channel.stdout.on("error", () => {});
    const stop = () => channel.close();
    until.addEventListener("abort", stop, { once: true });
    try {
      // The channel may have come after we were given up.
      until.throwIfAborted();
      const mark = randomWord();
      const output = new Tail(OUTPUT_LIMIT);
      channel.stdout.on("data", (chunk: Buffer) => output.push(chunk));
      const head = Object.entries({ ...variables, gps_mark: mark }).map(
        ([key, value]) => `${key}=${value && quote(value)}`,
      );
      channel.stdin.end(frame([...head, ...[name].flat().map(readProgram)].join("\n")));
      await channel.exited;
      await ended(channel);
      return readFacts(output.toString(), mark);
    } finally {
      until.removeEventListener("abort", stop);
      channel.close();
    }
  });
}

function ended(channel: ExecChannel): Promise<unknown> {
  if (channel.stdout.readableEnded || channel.stdout.closed) return Promise.resolve();
  return new Promise((resolve) => channel.stdout.once("end", resolve).once("close", resolve));
}

function readFacts(output: string, mark: string): Record<string, string> {
  const facts: Record<string, string> = {};
  for (const line of output.split("\n")) {
    const at = line.indexOf(`${mark} `);
    const [, key, value] = (at === -1 ? null : /^(\w+)=(.*)$/.exec(line.slice(at + mark.length + 1))) ?? [];
    if (key !== undefined && value !== undefined) facts[key] = value;
  }
  return facts;
}
