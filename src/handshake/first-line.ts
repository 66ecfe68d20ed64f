import type { Readable } from "node:stream";

/** What came, and why it was not waited for any longer. */
export interface Heard {
  /** What came before the line end, or altogether. Not trimmed. */
  text: string;
  /** `line`: a whole line; `end`: the stream ended, or the listener stopped; `too-long`: 64 KiB without a line end. */
  how: "line" | "end" | "too-long";
  /** The stream's failure, if that is how it ended. */
  failure?: Error;
}

/** A stream that is being listened to for its first line. */
export interface FirstLine {
  /** Resolves with the first line, or with what came when there will be none. Never rejects. */
  readonly heard: Promise<Heard>;
  /** Settles for what came so far. */
  stop(): void;
}

/** Go reads lines of up to this many bytes, line end included. */
const LONGEST_LINE = 64 * 1024;

/**
 * Listens to `stdout` for one line. After it the stream flows on for ever, into nothing, and keeps an error handler: a
 * plugin whose output nobody reads would block, and an error that nobody hears would end the process.
 */
export function firstLine(stdout: Readable): FirstLine {
  const chunks: Buffer[] = [];
  let size = 0;
  let settle: (heard: Heard) => void = () => {};
  const heard = new Promise<Heard>((resolve) => {
    settle = resolve;
  });

  const finish = (how: Heard["how"], failure?: Error) => {
    for (const [event, listener] of Object.entries(listeners)) stdout.off(event, listener);
    settle({ text: Buffer.concat(chunks).toString("utf8"), how, ...(failure && { failure }) });
  };
  const listeners = {
    data: (chunk: Buffer | string) => {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      const lineEnd = bytes.subarray(0, LONGEST_LINE - size).indexOf("\n");
      chunks.push(bytes.subarray(0, lineEnd >= 0 ? lineEnd : LONGEST_LINE - size));
      size += bytes.length;
      if (lineEnd >= 0) finish("line");
      else if (size >= LONGEST_LINE) finish("too-long");
    },
    end: () => finish("end"),
    close: () => finish("end"),
    error: (failure: Error) => finish("end", failure),
  };

  stdout.on("error", () => {});
  for (const [event, listener] of Object.entries(listeners)) stdout.on(event, listener);
  // A data listener does not wake a stream that was paused.
  stdout.resume();
  if (stdout.readableEnded || stdout.destroyed) finish("end", stdout.errored ?? undefined);
  return { heard, stop: () => finish("end") };
}
