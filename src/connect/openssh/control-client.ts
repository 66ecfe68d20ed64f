import { connect, type Socket } from "node:net";
import { ANSWER, ASK, MUX_VERSION } from "./control-protocol.ts";
import { Frames } from "./frames.ts";
import { encode, MessageReader, type Part } from "./wire.ts";

/** What a master has answered. */
export interface ControlAnswer {
  readonly type: number;
  /** Why not; empty where it did what it was asked. */
  readonly why: string;
  /** The port that the server chose, or the master's pid: whatever number the answer has. */
  readonly number: number;
}

/** Asks a master to do things: to have the box listen, to end. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #frames = new Frames();
  readonly #waiting = new Map<number, { resolve(answer: ControlAnswer): void; reject(failure: Error): void }>();
  #nextId = 0;
  #failure: Error | undefined;

  /** @param path of the master's control socket */
  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.write(encode(encode(ASK.hello, MUX_VERSION)));
    this.#socket.on("data", (chunk: Buffer) => {
      for (const frame of this.#frames.push(chunk)) this.#receive(new MessageReader(frame));
      if (this.#frames.broken) this.#socket.destroy();
    });
    this.#socket.on("error", (failure) => this.#end(failure));
    this.#socket.on("close", () => this.#end(new Error("the master closed its control socket")));
  }

  /** Asks one thing. Rejects with a plain error if the master is gone. */
  ask(what: number, ...details: Part[]): Promise<ControlAnswer> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(encode(encode(what, id, ...details)));
    });
  }

  /** Keeps the process alive, or lets it end although this is open. */
  hold(keepAlive: boolean): void {
    if (keepAlive) this.#socket.ref();
    else this.#socket.unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(reader: MessageReader): void {
    const type = reader.uint32();
    if (type === ASK.hello) return;
    const id = reader.uint32();
    const hasReason = type === ANSWER.denied || type === ANSWER.failure;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.resolve({
      type,
      why: hasReason ? reader.text() || "the master said no" : "",
      number: hasReason ? 0 : reader.uint32(),
    });
  }

  #end(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
