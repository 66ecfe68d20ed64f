import { connect, type Socket } from "node:net";
import { type Limits, within } from "../../lifetime/deadline.ts";
import { later } from "../../lifetime/later.ts";
import { ANSWER, ASK, MESSAGE, MUX_VERSION } from "./control-protocol.ts";
import { Frames } from "./frames.ts";
import { type Carrier, type ChannelKind, LONGEST_PACKET, MuxChannel, WINDOW } from "./mux-channel.ts";
import { encode, MessageReader, type Part } from "./wire.ts";

/** Administratively prohibited (RFC 4254 §5.1). */
const PROHIBITED = 1;
/** How long a server may take to answer before we leave without, which may cost the master its life. */
const LEAVE_MS = 10_000;

/** Someone who waits for the server to open a channel. */
interface Opening {
  readonly kind: ChannelKind;
  resolve(channel: MuxChannel): void;
  reject(failure: Error): void;
}

/**
 * SSH's connection protocol (RFC 4254), spoken through a control socket in its proxy mode: the master encrypts what we
 * say and gives our channels numbers that are nobody else's. So channels here are what they are with any client.
 */
export class MuxProxy implements Carrier {
  /** Called when the server would not open a channel, with the socket to the master. */
  onRefusal: (socket: Socket) => void = () => {};
  /** Resolves when the socket is closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #frames = new Frames();
  readonly #ready = later<void>();
  readonly #channels = new Map<number, MuxChannel>();
  readonly #openings = new Map<number, Opening>();
  /** Which channels were asked for, whether somebody still waits for them or not. */
  readonly #unanswered = new Set<number>();
  #onSettled: () => void = () => {};
  #isProxy = false;
  #nextId = 0;
  #blocked: (() => void)[] = [];
  /** Why there are no channels any more. */
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#frames.push(chunk)) this.#receive(frame);
      if (this.#frames.broken) socket.destroy();
    });
    socket.on("drain", () => this.#unblock());
    socket.on("error", (failure) => this.#ready.reject(failure));
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        this.#ready.reject(new Error("the master closed its control socket"));
        // Whoever owns this knows why, and ends the channels with that.
        this.#unblock();
        resolve();
      });
    });
  }

  /**
   * Connects to the master that listens at `path`. Rejects with a plain error if none does, and as `within` does if it
   * has not answered by the end of `limits`; the socket is closed then.
   */
  static async open(path: string, limits: Limits): Promise<MuxProxy> {
    const proxy = new MuxProxy(connect(path));
    proxy.#socket.write(message(ASK.hello, MUX_VERSION));
    proxy.#socket.write(message(ASK.proxy, 0));
    try {
      await within(limits, () => proxy.#ready.promise);
      return proxy;
    } catch (failure) {
      proxy.destroy();
      throw failure;
    }
  }

  /** Asks the server for a channel. Rejects with the server's reason as `reason`, as ssh2 does. */
  openChannel(type: string, ...details: Part[]): Promise<MuxChannel> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const kind = type === "session" ? "session" : "stream";
      this.#openings.set(id, { kind, resolve, reject });
      this.#unanswered.add(id);
      this.send(MESSAGE.channelOpen, type, id, WINDOW, LONGEST_PACKET, ...details);
    });
  }

  send(type: number, ...parts: Part[]): void {
    if (!this.#socket.writable) return;
    const body = encode(...parts);
    const head = Buffer.allocUnsafe(6);
    head.writeUInt32BE(body.length + 2);
    // No padding.
    head[4] = 0;
    head[5] = type;
    this.#socket.write(Buffer.concat([head, body]));
  }

  whenWritable(go: () => void): void {
    if (this.#socket.writableNeedDrain && this.#socket.writable) this.#blocked.push(go);
    else go();
  }

  forget(channel: MuxChannel): void {
    this.#channels.delete(channel.id);
  }

  /**
   * Asks the server to answer on one of the open channels; `undefined` if none is open. Resolves with the answer, which is
   * a no from servers that do not know the question.
   */
  ping(): Promise<unknown> | undefined {
    const [channel] = this.#channels.values();
    return channel?.ask("keepalive@openssh.com");
  }

  /** Keeps the process alive, or lets it end although this is open. */
  hold(keepAlive: boolean): void {
    if (keepAlive) this.#socket.ref();
    else this.#socket.unref();
  }

  /** Breaks every channel, for `reason`. */
  end(reason: Error): void {
    this.#failure ??= reason;
    for (const { reject } of this.#openings.values()) reject(this.#failure);
    this.#openings.clear();
    for (const channel of [...this.#channels.values()]) channel.over(this.#failure);
    this.#unblock();
  }

  /** Closes the socket; the master closes every channel then. */
  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * Closes the socket as soon as the server has said of every channel whether it opens it: a master whose client is gone
   * before that ends itself with "no remote_id".
   */
  async leave(): Promise<void> {
    if (this.#unanswered.size > 0 && !this.#socket.destroyed) {
      const settled = new Promise<void>((resolve) => {
        this.#onSettled = resolve;
      });
      await within({ timeoutMs: LEAVE_MS }, () => Promise.race([settled, this.closed])).catch(() => {});
    }
    this.#socket.destroy();
    await this.closed;
  }

  #unblock(): void {
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const go of blocked) go();
  }

  #receive(frame: Buffer): void {
    const reader = new MessageReader(frame);
    if (this.#isProxy) this.#dispatch(reader);
    else this.#greeted(reader);
  }

  #dispatch(reader: MessageReader): void {
    // How much padding there is: none.
    reader.byte();
    const type = reader.byte();
    if (type === MESSAGE.channelOpen) {
      this.#refuse(reader);
      return;
    }
    // Of all other messages that reach us the first part is our number of the channel.
    const id = reader.uint32();
    if (type === MESSAGE.openConfirmation || type === MESSAGE.openFailure) this.#answered(id);
    if (type === MESSAGE.openConfirmation) this.#opened(id, reader);
    else if (type === MESSAGE.openFailure) this.#refused(id, reader);
    else this.#channels.get(id)?.receive(type, reader);
  }

  /** Reads what the master answers before it is a proxy. */
  #greeted(reader: MessageReader): void {
    const type = reader.uint32();
    if (type === ASK.hello) return;
    this.#isProxy = type === ANSWER.proxy;
    if (this.#isProxy) {
      this.#ready.resolve();
      return;
    }
    reader.uint32();
    this.#ready.reject(new Error(reader.text() || "the master does not know the proxy mode"));
    this.#socket.destroy();
  }

  #answered(id: number): void {
    this.#unanswered.delete(id);
    if (this.#unanswered.size === 0) this.#onSettled();
  }

  #opened(id: number, reader: MessageReader): void {
    const opening = this.#openings.get(id);
    if (!opening) return;
    this.#openings.delete(id);
    const remote = { id: reader.uint32(), window: reader.uint32(), longestPacket: reader.uint32() };
    const channel = new MuxChannel(id, this, remote, opening.kind);
    this.#channels.set(id, channel);
    opening.resolve(channel);
  }

  #refused(id: number, reader: MessageReader): void {
    this.onRefusal(this.#socket);
    const opening = this.#openings.get(id);
    this.#openings.delete(id);
    const reason = reader.uint32();
    opening?.reject(Object.assign(new Error(reader.text() || "the server opened no channel"), { reason }));
  }

  /** The server opens no channels to us: those of listeners come in another way. */
  #refuse(reader: MessageReader): void {
    reader.text();
    this.send(MESSAGE.openFailure, reader.uint32(), PROHIBITED, "not asked for", "");
  }
}

function message(...parts: number[]): Buffer {
  return encode(encode(...parts));
}
