import { PluginError } from "../contract/errors.ts";
import { END_HEADERS, type FrameHeader, HEADERS, PADDED, PRIORITY } from "./frames.ts";
import { HpackDecoder } from "./hpack/hpack-decoder.ts";

/** gRPC for Go refuses more than this in one request, and everybody else refuses it earlier. */
const LONGEST_BLOCK = 16 * 1024 * 1024;

/** Reads along with a client's headers to learn which stream is a request for what. They pass untouched. */
export class RequestPaths {
  readonly #decoder = new HpackDecoder();
  readonly #onPath: (path: string, first: FrameHeader) => void;
  #block: Buffer[] = [];
  #length = 0;
  #first: FrameHeader | undefined;

  /** @param onPath told of each request, with the header of the frame that began it */
  constructor(onPath: (path: string, first: FrameHeader) => void) {
    this.#onPath = onPath;
  }

  /** The server allows a table of `size` bytes. */
  allow(size: number): void {
    this.#decoder.allow(size);
  }

  /**
   * Reads a whole HEADERS or CONTINUATION frame.
   *
   * @throws {PluginError} `connection-lost` if the headers cannot be read
   */
  read(header: FrameHeader, payload: Buffer): void {
    if (header.type === HEADERS) this.#first = header;
    const part = header.type === HEADERS ? fragmentOf(header, payload) : payload;
    this.#length += part.length;
    if (this.#length > LONGEST_BLOCK) throw unreadable("they are too long");
    this.#block.push(part);
    if ((header.flags & END_HEADERS) === 0) return;
    const fields = this.#decoder.decode(Buffer.concat(this.#block));
    if (!fields) throw unreadable("they are not compressed by the rules");
    this.#block = [];
    this.#length = 0;
    const path = fields.find(([name]) => name === ":path")?.[1];
    if (path !== undefined && this.#first) this.#onPath(path, this.#first);
  }
}

/** The block's part in a HEADERS frame: without padding and priority. */
function fragmentOf({ flags }: FrameHeader, payload: Buffer): Buffer {
  const padding = flags & PADDED ? (payload[0] ?? 0) : 0;
  const from = (flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0);
  const end = payload.length - padding;
  if (from > end) throw unreadable("there is more padding than frame");
  return payload.subarray(from, end);
}

function unreadable(why: string): PluginError {
  return new PluginError("connection-lost", `The headers of a request cannot be read: ${why}.`);
}
