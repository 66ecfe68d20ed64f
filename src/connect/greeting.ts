import { harmless } from "../lifetime/tail.ts";

/** A banner stands within what ssh2 reads; more is not kept, and then it is no SSH server. */
const LONGEST = 64 * 1024;
/** As much as helps to recognize who was talking. */
const QUOTED = 200;

/** What a server says before its SSH banner: most say nothing, some say why they hang up. */
export class Greeting {
  #text = "";

  /** Takes note of what came first. True as soon as it holds the banner (RFC 4253 §4.2). */
  push(chunk: Buffer): boolean {
    if (this.#text.length < LONGEST) this.#text += chunk.toString("latin1");
    return /^SSH-/m.test(this.#text);
  }

  /** The beginning of it, safe to print; empty if nothing was said. */
  toString(): string {
    const text = this.#text.trim();
    return harmless(text.length > QUOTED ? `${text.slice(0, QUOTED)}…` : text);
  }
}
