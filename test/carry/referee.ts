import {
  DATA,
  END_HEADERS,
  END_STREAM,
  FIRST_WINDOW,
  HEADER_LENGTH,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PADDED,
  PREFACE,
  RST_STREAM,
  readHeader,
  SETTINGS,
  WINDOW_UPDATE,
  windowUpdate,
  writeHeader,
} from "../../src/carry/frames.ts";

/** What a peer has of one stream. */
export interface PeerStream {
  /** How much it may send. */
  sendWindow: number;
  /** How much it has allowed the other side and not received. */
  receiveWindow: number;
  /** What has come, and how much of it has not been paid for. */
  received: Buffer;
  unpaid: number;
  ended: boolean;
  /** What is to be sent, and whether the end comes after it. */
  outgoing: Buffer;
  endsAfter: boolean;
  endSent: boolean;
}

/** An end of an HTTP/2 connection that keeps exact account of the windows, and fails on the first violation. */
export class Peer {
  readonly streams = new Map<number, PeerStream>();
  readonly #send: (bytes: Buffer) => void;
  readonly #name: string;
  #input = Buffer.alloc(0);
  #sendWindow = FIRST_WINDOW;
  #receiveWindow = FIRST_WINDOW;
  #unpaid = 0;
  /** What the other side lets us send on a new stream, and what we let it. */
  #theirInitial = FIRST_WINDOW;
  #ownInitial: number;
  #preface: number;
  /** The last frames that came, for failures. */
  readonly log: string[] = [];

  constructor(name: string, send: (bytes: Buffer) => void, options: { preface: boolean; initialWindow: number }) {
    this.#name = name;
    this.#send = send;
    this.#preface = options.preface ? 0 : PREFACE.length;
    this.#ownInitial = options.initialWindow;
  }

  /** Sends what comes first. */
  begin(isClient: boolean): void {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
    payload.writeUInt32BE(this.#ownInitial, 2);
    if (isClient) this.#send(PREFACE);
    this.#send(Buffer.concat([writeHeader({ length: 6, type: SETTINGS, flags: 0, id: 0 }), payload]));
  }

  open(id: number, block: Buffer): PeerStream {
    this.#send(Buffer.concat([writeHeader({ length: block.length, type: HEADERS, flags: END_HEADERS, id }), block]));
    return this.#stream(id);
  }

  /** Sends a piece of what waits on a stream, as far as the windows allow; whether it did. */
  sendSome(id: number, most: number, padding = 0): boolean {
    const stream = this.#stream(id);
    const room = Math.min(most, this.#sendWindow, stream.sendWindow, 16_384) - padding;
    const piece = stream.outgoing.subarray(0, Math.max(0, room));
    const isEnd = stream.endsAfter && piece.length === stream.outgoing.length && !stream.endSent;
    if (piece.length === 0 && !isEnd) return false;
    const padded = padding > 0 && piece.length > 0;
    const length = piece.length + (padded ? padding : 0);
    stream.outgoing = stream.outgoing.subarray(piece.length);
    stream.sendWindow -= length;
    this.#sendWindow -= length;
    stream.endSent ||= isEnd;
    const flags = (isEnd ? END_STREAM : 0) | (padded ? PADDED : 0);
    const payload = padded ? Buffer.concat([Buffer.of(padding - 1), piece, Buffer.alloc(padding - 1)]) : piece;
    this.#send(Buffer.concat([writeHeader({ length, type: DATA, flags, id }), payload]));
    return true;
  }

  /** Allows as much again as has come on a stream (0: on the connection); whether there was anything. */
  pay(id: number): boolean {
    const stream = id === 0 ? undefined : this.#stream(id);
    const unpaid = stream ? stream.unpaid : this.#unpaid;
    if (unpaid === 0) return false;
    if (stream) {
      stream.unpaid = 0;
      stream.receiveWindow += unpaid;
    } else {
      this.#unpaid = 0;
      this.#receiveWindow += unpaid;
    }
    this.#send(windowUpdate(id, unpaid));
    return true;
  }

  /** Takes what the other side has sent. */
  take(bytes: Buffer): void {
    this.#input = Buffer.concat([this.#input, bytes]);
    if (this.#preface < PREFACE.length) {
      if (this.#input.length < PREFACE.length) return;
      if (!this.#input.subarray(0, PREFACE.length).equals(PREFACE)) throw this.#violated("no preface");
      this.#input = this.#input.subarray(PREFACE.length);
      this.#preface = PREFACE.length;
    }
    while (this.#input.length >= HEADER_LENGTH) {
      const header = readHeader(this.#input, 0);
      const end = HEADER_LENGTH + header.length;
      if (this.#input.length < end) return;
      this.#hear(header, this.#input.subarray(HEADER_LENGTH, end));
      this.#input = this.#input.subarray(end);
    }
  }

  /** What the windows are when everything is paid for. */
  get windows(): { send: number; receive: number } {
    return { send: this.#sendWindow, receive: this.#receiveWindow };
  }

  #hear({ type, flags, id, length }: ReturnType<typeof readHeader>, payload: Buffer): void {
    if (this.log.length === 0 && type !== SETTINGS) throw this.#violated(`type ${type} before SETTINGS`);
    this.log.push(`${type}:${id}:${length}`);
    if (type === DATA) this.#hearData(id, flags, payload);
    if (type === HEADERS && flags & END_STREAM) this.#stream(id).ended = true;
    if (type === RST_STREAM) this.streams.delete(id);
    if (type === SETTINGS && !(flags & 1)) {
      for (let at = 0; at < length; at += 6) {
        if (payload.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
        const value = payload.readUInt32BE(at + 2);
        for (const stream of this.streams.values()) stream.sendWindow += value - this.#theirInitial;
        this.#theirInitial = value;
      }
    }
    if (type !== WINDOW_UPDATE) return;
    const increment = payload.readUInt32BE(0);
    if (increment === 0) throw this.#violated("an increment of 0");
    if (id === 0) this.#sendWindow += increment;
    else this.#stream(id).sendWindow += increment;
    // Whoever pays back only what came can never give more than there was.
    if (this.#sendWindow > FIRST_WINDOW) throw this.#violated(`${this.#sendWindow} bytes allowed on the connection`);
    if (id !== 0 && this.#stream(id).sendWindow > this.#theirInitial) throw this.#violated(`too much allowed on ${id}`);
  }

  #hearData(id: number, flags: number, payload: Buffer): void {
    const stream = this.#stream(id);
    stream.receiveWindow -= payload.length;
    this.#receiveWindow -= payload.length;
    if (stream.receiveWindow < 0) throw this.#violated(`${-stream.receiveWindow} bytes too many on stream ${id}`);
    if (this.#receiveWindow < 0) throw this.#violated(`${-this.#receiveWindow} bytes too many on the connection`);
    if (stream.ended) throw this.#violated(`data after the end of stream ${id}`);
    stream.unpaid += payload.length;
    this.#unpaid += payload.length;
    const data = flags & PADDED ? payload.subarray(1, payload.length - (payload[0] ?? 0)) : payload;
    stream.received = Buffer.concat([stream.received, data]);
    stream.ended = (flags & END_STREAM) !== 0;
  }

  #stream(id: number): PeerStream {
    const known = this.streams.get(id);
    if (known) return known;
    const stream: PeerStream = {
      sendWindow: this.#theirInitial,
      receiveWindow: this.#ownInitial,
      received: Buffer.alloc(0),
      unpaid: 0,
      ended: false,
      outgoing: Buffer.alloc(0),
      endsAfter: false,
      endSent: false,
    };
    this.streams.set(id, stream);
    return stream;
  }

  #violated(what: string): Error {
    return new Error(`${this.#name} saw a violation: ${what}. Frames: ${this.log.slice(-12).join(" ")}`);
  }
}
