import { PluginError } from "../contract/errors.ts";

/**
 * Owns what was opened, and undoes it: once, newest first, all of it even when some of it fails.
 *
 * A thing that arrives after the end is undone on the spot, so that an opening that was slow cannot leak.
 */
export class Lifetime implements AsyncDisposable {
  readonly #undo = new Set<() => unknown>();
  readonly #ending = new AbortController();
  #closing: Promise<void> | undefined;

  /** Aborts when the end begins, with a `closed` error as its reason. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /**
   * Ties `thing` to this lifetime and returns it.
   *
   * @throws {PluginError} `closed` if the end has begun; `thing` is undone then
   */
  async own<T>(thing: T, undo: (thing: T) => unknown): Promise<T> {
    if (this.#closing) {
      await undo(thing);
      throw new PluginError("closed", "It was closed while something was still being opened.");
    }
    this.#undo.add(() => undo(thing));
    return thing;
  }

  /** Undoes everything. Each call gives the same promise; it rejects with the first failure, after all was tried. */
  close(): Promise<void> {
    this.#closing ??= this.#undoAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #undoAll(): Promise<void> {
    // A turn later, so that `#closing` is set before an undo can reach `own`.
    await undefined;
    this.#ending.abort(new PluginError("closed", "It was closed."));
    const failures: unknown[] = [];
    for (const undo of [...this.#undo].reverse()) {
      try {
        await undo();
      } catch (failure) {
        failures.push(failure);
      }
    }
    this.#undo.clear();
    if (failures.length > 0) throw failures[0];
  }
}
