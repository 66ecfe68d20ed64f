import { PluginError } from "../contract/errors.ts";
import type { Treatment } from "./frame-reader.ts";
import { DATA, type FrameHeader } from "./frames.ts";

/** What is read as a whole has to be of a decent length. */
const MOST_GATHERED = 1024 * 1024;

/**
 * Hands over a frame's payload as a whole, which does not pass.
 *
 * @throws {PluginError} `connection-lost` if it is absurdly long; what data may be is for the windows to say
 */
export function gather({ length, type }: FrameHeader, use: (payload: Buffer) => void): Treatment {
  if (length > MOST_GATHERED && type !== DATA) {
    throw new PluginError("connection-lost", `A frame of type ${type} came with ${length} bytes.`);
  }
  const pieces: Buffer[] = [];
  return {
    passes: false,
    payload: (piece) => void pieces.push(piece),
    end: () => use(pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)),
  };
}

/** The same, and it passes meanwhile. */
export function readAlong(header: FrameHeader, use: (payload: Buffer) => void): Treatment {
  return { ...gather(header, use), passes: true };
}
