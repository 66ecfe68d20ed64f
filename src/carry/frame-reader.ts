import { type FrameHeader, HEADER_LENGTH, PREFACE, readHeader } from "./frames.ts";
import type { Outlet } from "./outlet.ts";

/** What becomes of a frame. */
export interface Treatment {
  /** Whether it goes on to the other side as it comes. */
  readonly passes: boolean;
  /** The header that it goes on with, if not its own. */
  readonly header?: Buffer;
  /** How much of its payload is meant, if not all; what follows is asked for again, as a frame that has no header. */
  readonly first?: number;
  /** Gets the payload piece by piece. */
  payload?(piece: Buffer): void;
  /** Called when all of the payload has been seen. */
  end?(): void;
}

/** Who decides what becomes of the frames. */
export interface FrameHandler {
  /** Called for each frame's header; `isRest` if only a part of a frame is left. */
  begin(header: FrameHeader, isRest: boolean): Treatment;
  /** Called between two frames. */
  between(): void;
  /** Called if the first bytes are not those of HTTP/2. */
  foreign(): void;
}

/** Cuts the bytes of one direction into frames and passes on what may pass, without waiting for the end of a frame. */
export class FrameReader {
  readonly #outlet: Outlet;
  readonly #handler: FrameHandler;
  /** The part of a header that the last chunk ended with. */
  readonly #stash = Buffer.alloc(HEADER_LENGTH);
  #stashed = 0;
  #prefaceAt: number;
  #treatment: Treatment = { passes: false };
  #remaining = 0;
  #rest: FrameHeader | undefined;

  /** @param preface whether it begins with the client's */
  constructor(outlet: Outlet, handler: FrameHandler, preface: boolean) {
    this.#outlet = outlet;
    this.#handler = handler;
    this.#prefaceAt = preface ? 0 : PREFACE.length;
  }

  /** Whether the other side has got a part of a frame, so that nothing may come between. */
  get isPassing(): boolean {
    const midPreface = this.#prefaceAt > 0 && this.#prefaceAt < PREFACE.length;
    return midPreface || (this.#treatment.passes && (this.#remaining > 0 || this.#rest !== undefined));
  }

  /** What has come of a header that is not complete. */
  get leftOver(): Buffer {
    return Buffer.from(this.#stash.subarray(0, this.#stashed));
  }

  /** Reads a chunk. */
  take(chunk: Buffer): void {
    let at = this.#prefaceAt < PREFACE.length ? this.#readPreface(chunk) : 0;
    while (at < chunk.length) {
      at = this.#remaining > 0 ? this.#readPayload(chunk, at) : this.#readHeader(chunk, at);
    }
    this.#outlet.flush();
  }

  #readPreface(chunk: Buffer): number {
    const length = Math.min(PREFACE.length - this.#prefaceAt, chunk.length);
    const expected = PREFACE.subarray(this.#prefaceAt, this.#prefaceAt + length);
    if (!chunk.subarray(0, length).equals(expected)) {
      this.#handler.foreign();
      this.#outlet.pass(chunk, 0, chunk.length);
      return chunk.length;
    }
    this.#prefaceAt += length;
    this.#outlet.pass(chunk, 0, length);
    return length;
  }

  #readPayload(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#remaining);
    this.#remaining -= end - at;
    const treatment = this.#treatment;
    if (treatment.passes) this.#outlet.pass(chunk, at, end);
    treatment.payload?.(chunk.subarray(at, end));
    if (this.#remaining === 0) this.#finish();
    return end;
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#stashed === 0 && chunk.length - at >= HEADER_LENGTH) {
      this.#begin(readHeader(chunk, at), () => this.#outlet.pass(chunk, at, at + HEADER_LENGTH));
      return at + HEADER_LENGTH;
    }
    const length = Math.min(HEADER_LENGTH - this.#stashed, chunk.length - at);
    chunk.copy(this.#stash, this.#stashed, at, at + length);
    this.#stashed += length;
    if (this.#stashed === HEADER_LENGTH) {
      this.#stashed = 0;
      this.#begin(readHeader(this.#stash, 0), () => this.#outlet.write(Buffer.from(this.#stash)));
    }
    return at + length;
  }

  /** @param passHeader sends on the header as it came; not given for the rest of a frame */
  #begin(header: FrameHeader, passHeader?: () => void): void {
    const treatment = this.#handler.begin(header, passHeader === undefined);
    const { first = header.length } = treatment;
    this.#treatment = treatment;
    this.#remaining = first;
    this.#rest = first < header.length ? { ...header, length: header.length - first } : undefined;
    if (treatment.header) this.#outlet.write(treatment.header);
    else if (treatment.passes) passHeader?.();
    if (first === 0) this.#finish();
  }

  #finish(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    this.#treatment.end?.();
    if (rest) this.#begin(rest);
    else this.#handler.between();
  }
}
