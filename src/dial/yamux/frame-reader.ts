import { type Frame, HEADER_BYTES, readHeader, TYPE } from "./frame.ts";

/** Who is told what was read. */
export interface FrameHandler {
  /** A header has come. Gives in words what is wrong with it, if something is; then nothing more is read. */
  onFrame(frame: Frame): string | undefined;
  /** A part of the body that belongs to the last header has come; `isLast` if nothing of it is missing. */
  onBody(piece: Buffer, isLast: boolean): void;
}

/** Cuts a stream of bytes, which comes in pieces of any size, into frames. Bodies are passed on without a copy. */
export class FrameReader {
  readonly #handler: FrameHandler;
  /** A header that came in several pieces. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** How much of a body is still to come. */
  #bodyBytes = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Whether the last frame is not complete. */
  get isInside(): boolean {
    return this.#headerBytes > 0 || this.#bodyBytes > 0;
  }

  /** Everything in `chunk` was told to the handler. Gives in words what is wrong with it, if something is. */
  read(chunk: Buffer): string | undefined {
    let at = 0;
    while (at < chunk.length) {
      if (this.#bodyBytes > 0) {
        const piece = chunk.subarray(at, at + this.#bodyBytes);
        at += piece.length;
        this.#bodyBytes -= piece.length;
        this.#handler.onBody(piece, this.#bodyBytes === 0);
        continue;
      }
      let frame: Frame | string;
      if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
        frame = readHeader(chunk, at);
        at += HEADER_BYTES;
      } else {
        const copied = chunk.copy(this.#header, this.#headerBytes, at);
        at += copied;
        this.#headerBytes += copied;
        if (this.#headerBytes < HEADER_BYTES) return undefined;
        this.#headerBytes = 0;
        frame = readHeader(this.#header, 0);
      }
      if (typeof frame === "string") return frame;
      if (frame.type === TYPE.data) this.#bodyBytes = frame.length;
      const wrong = this.#handler.onFrame(frame);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
}
