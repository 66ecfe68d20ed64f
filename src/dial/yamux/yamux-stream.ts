import { Duplex } from "node:stream";
import { FLAG, type Frame, TYPE } from "./frame.ts";
import { Incoming } from "./incoming.ts";
import type { Sender } from "./outbox.ts";
import { Outgoing, type WriteDone } from "./outgoing.ts";
import type { Packer } from "./packer.ts";
import { notEnded, streamDestroyed, streamReset } from "./yamux-errors.ts";
import type { YamuxSettings } from "./yamux-options.ts";

/** How much the two buffers that every stream has of its own may hold before they push back. */
const HIGH_WATER_MARK = 64 * 1024;

/** What a stream needs of its session. */
export interface StreamHome {
  readonly settings: YamuxSettings;
  /** `frame`, which has no body, is sent. */
  control(frame: Frame): void;
  /** The stream is asked for data when it is its turn. */
  ready(stream: YamuxStream): void;
  /** No frame belongs to the stream any more. */
  forget(stream: YamuxStream): void;
}

/** One stream of a session. Ending it half-closes it; destroying it before both halves have ended resets it. */
export class YamuxStream extends Duplex implements Sender {
  readonly id: number;
  readonly #home: StreamHome;
  readonly #outgoing = new Outgoing();
  readonly #incoming: Incoming;
  /** We have sent the frame that begins the stream on our side, so that others may follow. */
  #hasBegun = false;
  #isForgotten = false;
  #hasSentEnd = false;
  /** Called when our end is sent; there while it is wanted and not yet sent. */
  #onEndSent: (() => void) | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  #hasHeard = false;

  constructor(id: number, home: StreamHome) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER_MARK });
    this.id = id;
    this.#home = home;
    this.#incoming = new Incoming(home.settings.receiveWindowBytes);
    // A stream that fails before its user has it, or after, is not a crash.
    this.on("error", () => {});
  }

  /** The other side knows that we have opened the stream. */
  announce(): void {
    this.#begin(FLAG.syn);
  }

  /** The other side knows that its stream was accepted here. */
  accept(): void {
    this.#begin(FLAG.ack);
  }

  /** See {@link Sender.pack}. */
  pack(packer: Packer, limit: number): boolean {
    return this.#outgoing.pack(packer, this.id, limit);
  }

  /** The other side takes `bytes` more. */
  onGrant(bytes: number): void {
    this.#outgoing.grant(bytes);
    this.#sendIfReady();
  }

  /** A data frame of `bytes` begins; `false` if the other side had no credit for it. */
  onData(bytes: number): boolean {
    this.#hasHeard = true;
    return this.#incoming.spend(bytes);
  }

  /** A part of a data frame has come. */
  onBody(piece: Buffer): void {
    if (this.destroyed) return;
    this.#incoming.add(piece);
    this.#deliver();
    this.#grant();
  }

  /** The other side has sent everything. */
  onEnd(): void {
    if (this.#incoming.isEnded) return;
    this.#incoming.end();
    this.#deliver();
    this.#forgetIfEnded();
  }

  /** The other side gave the stream up. */
  onReset(): void {
    this.#forget();
    this.destroy(streamReset());
  }

  /** As any stream's; what was read makes room for more. `_read` comes too early for that: before the buffer shrinks. */
  override read(size?: number): unknown {
    const chunk = super.read(size);
    this.#grant();
    return chunk;
  }

  override _read(): void {
    this.#incoming.want();
    this.#deliver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.#outgoing.put([chunk], done);
    this.#sendIfReady();
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteDone): void {
    const pieces = chunks.map(({ chunk }) => chunk);
    this.#outgoing.put(pieces, done);
    this.#sendIfReady();
  }

  override _final(done: () => void): void {
    this.#onEndSent = done;
    if (this.#hasBegun) this.#sendEnd();
  }

  override _destroy(failure: Error | null, done: (failure?: Error | null) => void): void {
    clearTimeout(this.#closeTimer);
    if (this.#hasBegun && !this.#isForgotten) this.#control(FLAG.rst);
    this.#forget();
    this.#incoming.drop();
    this.#outgoing.fail(failure ?? streamDestroyed());
    done(failure);
  }

  #begin(flag: number): void {
    if (this.#hasBegun || this.#isForgotten) return;
    this.#hasBegun = true;
    this.#control(flag, this.#incoming.firstGrant());
    this.#sendIfReady();
    if (this.#onEndSent) this.#sendEnd();
  }

  #deliver(): void {
    this.#incoming.deliver((chunk) => this.push(chunk));
  }

  #grant(): void {
    const bytes = this.#hasBegun ? this.#incoming.nextGrant(this.readableLength) : 0;
    if (bytes > 0) this.#control(0, bytes);
  }

  #sendIfReady(): void {
    if (this.#hasBegun && !this.destroyed && this.#outgoing.isReady) this.#home.ready(this);
  }

  #sendEnd(): void {
    const done = this.#onEndSent;
    this.#onEndSent = undefined;
    this.#hasSentEnd = true;
    this.#control(FLAG.fin);
    this.#forgetIfEnded();
    if (!this.#isForgotten) this.#expectEnd();
    done?.();
  }

  /** The other side is given up when it does not end its half either. A reader of ours that is slow is not its fault. */
  #expectEnd(): void {
    const { streamCloseTimeoutMs } = this.#home.settings;
    if (streamCloseTimeoutMs === 0) return;
    this.#hasHeard = false;
    this.#closeTimer = setTimeout(() => {
      if (this.#hasHeard || this.#incoming.bytes + this.readableLength > 0) this.#expectEnd();
      else this.destroy(notEnded(streamCloseTimeoutMs));
    }, streamCloseTimeoutMs).unref();
  }

  #forgetIfEnded(): void {
    if (this.#hasSentEnd && this.#incoming.isEnded) this.#forget();
  }

  #forget(): void {
    if (this.#isForgotten) return;
    this.#isForgotten = true;
    clearTimeout(this.#closeTimer);
    this.#home.forget(this);
  }

  #control(flags: number, length = 0): void {
    this.#home.control({ type: TYPE.windowUpdate, flags, streamId: this.id, length });
  }
}
