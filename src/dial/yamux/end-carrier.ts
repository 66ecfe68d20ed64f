import type { Duplex } from "node:stream";

/** How long the other side may take to read our last words and to end as well. */
const LAST_WORDS_MS = 1_000;

/**
 * Ends `carrier`: what was written to it is delivered if the other side reads it, and what still comes is dropped.
 * Resolves when it is closed, which it is after a second at the latest. Never rejects.
 */
export function endCarrier(carrier: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (carrier.closed) return resolve();
    const timer = setTimeout(() => {
      carrier.destroy();
      resolve();
    }, LAST_WORDS_MS).unref();
    carrier.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    if (!carrier.writable) return void carrier.destroy();
    carrier.once("finish", () => {
      if (carrier.readableEnded) carrier.destroy();
    });
    carrier.once("end", () => {
      if (carrier.writableFinished) carrier.destroy();
    });
    carrier.end();
    carrier.resume();
  });
}
