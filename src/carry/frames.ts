/** What opens a connection, before the client's first frame (RFC 9113, 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** The length of every frame's header. */
export const HEADER_LENGTH = 9;

/** The kinds of frames that matter to a splice. */
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

/** A SETTINGS frame with this flag says nothing. */
export const ACK = 1;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 0x20;

/** The settings that matter to a splice. */
export const HEADER_TABLE_SIZE = 1;
export const INITIAL_WINDOW_SIZE = 4;

/** The window of the connection when it begins, and of each stream unless SETTINGS say otherwise. */
export const FIRST_WINDOW = 65_535;

/** The longest frame that every peer must take. */
export const FRAME_ROOM = 16_384;

/** The nine bytes before a frame's payload (RFC 9113, 4.1). */
export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly id: number;
}

/** The header at `at`, of which nine bytes must be there. */
export function readHeader(bytes: Buffer, at: number): FrameHeader {
  return {
    length: bytes.readUIntBE(at, 3),
    type: bytes[at + 3] ?? 0,
    flags: bytes[at + 4] ?? 0,
    id: bytes.readUInt32BE(at + 5) & 0x7fff_ffff,
  };
}

/** The nine bytes of a header. */
export function writeHeader({ length, type, flags, id }: FrameHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  return bytes;
}

/** A frame that allows so many bytes more, on one stream or on the connection, which is stream 0. */
export function windowUpdate(id: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return Buffer.concat([writeHeader({ length: 4, type: WINDOW_UPDATE, flags: 0, id }), payload]);
}

/** Whether such a frame is, or goes on with, a block of headers, and the next frame will go on with it. */
export function leavesBlockOpen({ type, flags }: FrameHeader): boolean {
  return (type === HEADERS || type === PUSH_PROMISE || type === CONTINUATION) && (flags & END_HEADERS) === 0;
}
