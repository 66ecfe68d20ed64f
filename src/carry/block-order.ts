import { PluginError } from "../contract/errors.ts";
import { CONTINUATION, type FrameHeader, leavesBlockOpen } from "./frames.ts";

/** Sees to it that nothing comes between the frames of one block of headers (RFC 9113, 4.3). */
export class BlockOrder {
  #open: number | undefined;

  /** @throws {PluginError} `connection-lost` if this is not the frame that had to come */
  check(header: FrameHeader): void {
    const { type, id } = header;
    const goesOn = type === CONTINUATION && this.#open === id;
    if (this.#open === undefined ? type === CONTINUATION : !goesOn) {
      throw new PluginError("connection-lost", `A frame of type ${type} came where headers had to go on.`);
    }
    this.#open = leavesBlockOpen(header) ? id : undefined;
  }
}
