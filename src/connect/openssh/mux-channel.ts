import { Duplex, Readable } from "node:stream";
import { later } from "../../lifetime/later.ts";
import { MESSAGE } from "./control-protocol.ts";
import { encode, type MessageReader, type Part } from "./wire.ts";

/** How much may be on its way to us, for stdout and stderr together. As with ssh2. */
export const WINDOW = 2 * 1024 * 1024;
/** RFC 4253 §6.1. */
export const LONGEST_PACKET = 32 * 1024;
/** Room is given back in portions, so that not every packet costs another. */
const PORTION = WINDOW / 8;

/** What a channel needs of the connection that it is on. */
export interface Carrier {
  /** Sends a message. */
  send(type: number, ...parts: Part[]): void;
  /** Calls back as soon as more can be sent without filling the memory. */
  whenWritable(go: () => void): void;
  /** Told once when the channel is over for both sides. */
  forget(channel: MuxChannel): void;
}

/** What the server said of a channel that it has opened. */
export interface Confirmation {
  readonly id: number;
  readonly window: number;
  readonly longestPacket: number;
}

/** What runs over a channel: a command, or a connection to an address, which breaks when its connection is lost. */
export type ChannelKind = "session" | "stream";

/**
 * One channel of SSH (RFC 4254 §5): its data as a stream, with the extended data beside it. Each direction ends by itself,
 * and back-pressure passes through. When the other side closes, what has come can still be read.
 */
export class MuxChannel extends Duplex {
  /** Our number for it. */
  readonly id: number;
  readonly stderr: Readable;
  /** Resolves when the channel is over for both sides. */
  readonly whenClosed: Promise<void>;
  /** Told of what the server says of the channel, `exit-status` for example. */
  onRequest: (name: string, details: MessageReader) => void = () => {};
  readonly #carrier: Carrier;
  readonly #remote: Confirmation;
  readonly #kind: ChannelKind;
  readonly #whenClosed = later<void>();
  readonly #answers: ((isYes: boolean) => void)[] = [];
  /** How much the server takes before it says that it takes more. */
  #room: number;
  /** What waits for room, and whom to tell when it has left. */
  #waiting: { rest: Buffer; done: () => void } | undefined;
  /** What was received and read, but not yet told the server. */
  #credit = 0;
  /** What was received and lies in a full buffer. */
  #unread = { out: 0, err: 0 };
  #sentClose = false;
  #sentEnd = false;
  #gotEnd = false;
  #isOver = false;

  constructor(id: number, carrier: Carrier, remote: Confirmation, kind: ChannelKind) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.id = id;
    this.#kind = kind;
    this.#carrier = carrier;
    this.#remote = remote;
    this.#room = remote.window;
    this.whenClosed = this.#whenClosed.promise;
    this.stderr = new Readable({ read: () => this.#taken("err") });
    // Whoever has just let go of it must not be the end of the process.
    this.on("error", () => {});
  }

  /** Asks the server something about the channel; resolves with whether it did it. */
  ask(name: string, ...details: Part[]): Promise<boolean> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#request(name, true, details);
    });
  }

  /** Tells the server something about the channel. */
  tell(name: string, ...details: Part[]): void {
    if (!this.#sentClose) this.#request(name, false, details);
  }

  /** Says that we are done with it. What still comes can be read. */
  close(): void {
    if (this.#sentClose) return;
    this.#sentClose = true;
    this.#drop();
    this.#carrier.send(MESSAGE.close, this.#remote.id);
  }

  /** Takes a message of the server's about this channel. */
  receive(type: number, message: MessageReader): void {
    if (type === MESSAGE.data) this.#received("out", message.bytes());
    else if (type === MESSAGE.extendedData) this.#received(message.uint32() === 1 ? "err" : "none", message.bytes());
    else if (type === MESSAGE.windowAdjust) this.#moreRoom(message.uint32());
    else if (type === MESSAGE.eof) this.#end();
    else if (type === MESSAGE.close) this.over();
    else if (type === MESSAGE.success || type === MESSAGE.failure) this.#answers.shift()?.(type === MESSAGE.success);
    else if (type === MESSAGE.request) this.#requested(message);
  }

  /** Ends it for both sides; with a `reason` because the connection is lost. */
  over(reason?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.close();
    if (!reason || this.#kind === "session") this.#end();
    this.#drop();
    for (const answer of this.#answers.splice(0)) answer(false);
    this.#carrier.forget(this);
    this.#whenClosed.resolve();
    if (reason && this.#kind === "stream") this.destroy(reason);
    else if (this.readableEnded) this.destroy();
    else this.once("end", () => this.destroy());
  }

  override _read(): void {
    this.#taken("out");
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#waiting = { rest: chunk, done };
    this.#sendWaiting();
  }

  override _final(done: () => void): void {
    if (!this.#sentClose) this.#carrier.send(MESSAGE.eof, this.#remote.id);
    this.#sentEnd = true;
    this.#closeIfDone();
    done();
  }

  override _destroy(failure: Error | null, done: (failure: Error | null) => void): void {
    this.close();
    done(failure);
  }

  #request(name: string, wantsAnswer: boolean, details: Part[]): void {
    const head = encode(name, { raw: Buffer.from([wantsAnswer ? 1 : 0]) }, ...details);
    this.#carrier.send(MESSAGE.request, this.#remote.id, { raw: head });
  }

  #requested(message: MessageReader): void {
    const name = message.text();
    const wantsAnswer = message.byte() !== 0;
    this.onRequest(name, message);
    // sshd asks `keepalive@openssh.com` to see whether somebody is there; any answer will do.
    if (wantsAnswer && !this.#sentClose) this.#carrier.send(MESSAGE.failure, this.#remote.id);
  }

  #received(where: "out" | "err" | "none", data: Buffer): void {
    const stream = where === "out" ? this : this.stderr;
    const isUnwanted = where === "none" || stream.destroyed || this.#gotEnd;
    // A copy: the buffer of a whole read would live as long as its last byte.
    if (isUnwanted || stream.push(Buffer.from(data))) this.#give(data.length);
    else this.#unread[where] += data.length;
  }

  #taken(where: "out" | "err"): void {
    const length = this.#unread[where];
    this.#unread[where] = 0;
    if (length > 0) this.#give(length);
  }

  #give(length: number): void {
    this.#credit += length;
    if (this.#credit < PORTION || this.#sentClose) return;
    this.#carrier.send(MESSAGE.windowAdjust, this.#remote.id, this.#credit);
    this.#credit = 0;
  }

  #moreRoom(length: number): void {
    this.#room += length;
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    if (this.#sentClose) {
      this.#drop();
      return;
    }
    while (waiting.rest.length > 0 && this.#room > 0) {
      const length = Math.min(waiting.rest.length, this.#room, this.#remote.longestPacket, LONGEST_PACKET);
      this.#carrier.send(MESSAGE.data, this.#remote.id, waiting.rest.subarray(0, length));
      this.#room -= length;
      waiting.rest = waiting.rest.subarray(length);
    }
    if (waiting.rest.length > 0) return;
    this.#waiting = undefined;
    this.#carrier.whenWritable(waiting.done);
  }

  /** Nobody takes any more what is written. */
  #drop(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.done();
  }

  #end(): void {
    if (this.#gotEnd) return;
    this.#gotEnd = true;
    this.push(null);
    this.stderr.push(null);
    this.#closeIfDone();
  }

  /** A stream is done when both directions are. A command may have something to say yet: how it ended. */
  #closeIfDone(): void {
    if (this.#kind === "stream" && this.#sentEnd && this.#gotEnd) this.close();
  }
}
