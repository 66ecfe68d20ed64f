/** What a frame is about (yamux `const.go`). */
export const TYPE = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;

/** What else a frame says; they may be combined. Pings use `syn` for a question and `ack` for its answer. */
export const FLAG = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;

/** Why a session ends, as a go-away frame says it. */
export const GO_AWAY = { normal: 0, protocolError: 1, internalError: 2 } as const;

/** The only version there is. */
const VERSION = 0;

/** Every frame begins with as many bytes; only data frames have more. */
export const HEADER_BYTES = 12;

/** How much each side may send on a new stream before it hears from the other. */
export const INITIAL_WINDOW_BYTES = 256 * 1024;

/** The greatest number that fits the header. */
export const UINT32_MAX = 0xffff_ffff;

/** A frame's header. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** Odd for streams that the client opened, even for the server's, 0 for the session itself. */
  readonly streamId: number;
  /** Data: how many bytes follow. Window update: how many more may be sent. Ping: any number. Go-away: the reason. */
  readonly length: number;
}

/** The header at `offset` is `frame`'s. */
export function writeHeader(target: Buffer, offset: number, { type, flags, streamId, length }: Frame): void {
  target[offset] = VERSION;
  target[offset + 1] = type;
  target.writeUInt16BE(flags, offset + 2);
  target.writeUInt32BE(streamId, offset + 4);
  target.writeUInt32BE(length, offset + 8);
}

/** The header at `offset`, or in words what is wrong with it. */
export function readHeader(bytes: Buffer, offset: number): Frame | string {
  const version = bytes.readUInt8(offset);
  const type = bytes.readUInt8(offset + 1);
  if (version !== VERSION) return `a frame of version ${version}`;
  if (type > TYPE.goAway) return `a frame of the unknown type ${type}`;
  const flags = bytes.readUInt16BE(offset + 2);
  return { type, flags, streamId: bytes.readUInt32BE(offset + 4), length: bytes.readUInt32BE(offset + 8) };
}
