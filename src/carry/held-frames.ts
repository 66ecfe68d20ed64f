import { PluginError } from "../contract/errors.ts";
import { DATA, END_STREAM, type FrameHeader, HEADER_LENGTH, leavesBlockOpen, PADDED, writeHeader } from "./frames.ts";

/** Far more than is held when both sides keep to the rules: a frame, and as much as was announced in their place. */
const MOST_HELD = 1024 * 1024;

interface HeldFrame {
  readonly header: FrameHeader;
  readonly bytes: Buffer;
}

/** Frames that wait, in their order, because the receiver's window has no room for the first of them. */
export class HeldFrames {
  readonly #frames: HeldFrame[] = [];
  #length = 0;

  get isEmpty(): boolean {
    return this.#frames.length === 0;
  }

  /**
   * Puts a frame at the end.
   *
   * @throws {PluginError} `connection-lost` if there are too many: the sender does not keep to the window
   */
  add(header: FrameHeader, payload: readonly Buffer[]): void {
    const bytes = Buffer.concat([writeHeader(header), ...payload]);
    this.#frames.push({ header, bytes });
    this.#length += bytes.length;
    if (this.#length > MOST_HELD + header.length) {
      throw new PluginError("connection-lost", "More came than HTTP/2's window for the connection allows.");
    }
  }

  /**
   * What can be sent next with so much of the window: a frame, or the beginning of one. `cost` is its part of the
   * window; `isBlockOpen` tells that headers have begun that the next frame goes on with.
   */
  next(window: number): { bytes: Buffer; cost: number; isBlockOpen: boolean } | undefined {
    const [head] = this.#frames;
    if (!head) return undefined;
    const { header, bytes } = head;
    const cost = header.type === DATA ? header.length : 0;
    if (cost > window) return this.#beginning(head, window);
    this.#frames.shift();
    this.#length -= bytes.length;
    return { bytes, cost, isBlockOpen: leavesBlockOpen(header) };
  }

  #beginning({ header, bytes }: HeldFrame, window: number) {
    if (window <= 0 || header.flags & PADDED) return undefined;
    const payload = bytes.subarray(HEADER_LENGTH);
    const rest = { ...header, length: header.length - window };
    this.#frames[0] = { header: rest, bytes: Buffer.concat([writeHeader(rest), payload.subarray(window)]) };
    this.#length -= window;
    const begun = writeHeader({ ...header, length: window, flags: header.flags & ~END_STREAM });
    return { bytes: Buffer.concat([begun, payload.subarray(0, window)]), cost: window, isBlockOpen: false };
  }
}
