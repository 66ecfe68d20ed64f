import type { Readable } from "node:stream";
import { PluginError } from "../../src/contract/errors.ts";

/** What a stream says until it ends, as text, and the waiting for a part of it. Reads the stream at once. */
export class Said {
  text = "";
  /** Resolves with everything when the stream has ended, in whatever way. */
  readonly all: Promise<string>;
  readonly #stream: Readable;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("latin1");
    });
    this.all = new Promise((resolve) => {
      stream.once("end", () => resolve(this.text)).once("close", () => resolve(this.text));
    });
  }

  /** The first match, as soon as it is there. Rejects if the stream ends without it. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found) return found;
      if (this.#stream.readableEnded || this.#stream.destroyed) {
        throw new Error(`The stream ended without ${pattern}: ${JSON.stringify(this.text)}`);
      }
      await new Promise<void>((resolve) => {
        const done = () => {
          for (const event of ["data", "end", "close"]) this.#stream.off(event, done);
          resolve();
        };
        for (const event of ["data", "end", "close"]) this.#stream.on(event, done);
      });
    }
  }
}

/** The failure of a promise that must fail with one of ours. */
export async function failureOf(promise: Promise<unknown>): Promise<PluginError> {
  try {
    await promise;
  } catch (failure) {
    if (failure instanceof PluginError) return failure;
    throw new Error("It failed, but not with a PluginError.", { cause: failure });
  }
  throw new Error("It did not fail.");
}
