import type { Socket } from "node:net";
import type { LinkState } from "./proxy.ts";

/** How much may be on its way before the sender has to wait: 50 ms at 1 Gbit/s, and some. */
const ON_THE_WAY = 8 * 1024 * 1024;

/** What travels: bytes, or how it ended. */
type Parcel = { due: number } & ({ bytes: Buffer } | { end: "fin" | "reset" });

/** One direction of one connection. */
export class Way {
  readonly #link: LinkState;
  readonly #from: Socket;
  readonly #to: Socket;
  #queue: Parcel[] = [];
  #size = 0;
  #timer: NodeJS.Timeout | undefined;
  #blocked = false;
  #over = false;

  constructor(link: LinkState, from: Socket, to: Socket) {
    this.#link = link;
    this.#from = from;
    this.#to = to;
    from.on("data", (bytes: Buffer) => this.#put({ due: this.#due(), bytes }));
    from.on("end", () => this.end());
    from.on("error", () => this.#put({ due: this.#due(), end: "reset" }));
    to.on("drain", () => {
      this.#blocked = false;
      this.pump();
    });
    this.#pace();
  }

  /** Sends what is due, unless the link is frozen or the receiver cannot take more. */
  pump(): void {
    clearTimeout(this.#timer);
    while (!this.#link.frozen && !this.#blocked && !this.#over) {
      const parcel = this.#queue[0];
      if (!parcel) break;
      const waitMs = parcel.due - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs);
        break;
      }
      this.#queue.shift();
      this.#deliver(parcel);
    }
    this.#pace();
  }

  /** Ends this direction after what is under way. */
  end(): void {
    this.#put({ due: this.#due(), end: "fin" });
  }

  /** Delivers nothing any more. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #due(): number {
    return performance.now() + this.#link.delayMs;
  }

  #put(parcel: Parcel): void {
    if (this.#over) return;
    if ("bytes" in parcel) this.#size += parcel.bytes.length;
    this.#queue.push(parcel);
    this.pump();
  }

  #deliver(parcel: Parcel): void {
    if ("bytes" in parcel) {
      this.#size -= parcel.bytes.length;
      if (this.#to.destroyed) return;
      this.#blocked = !this.#to.write(parcel.bytes);
      return;
    }
    this.stop();
    if (parcel.end === "reset") this.#to.resetAndDestroy();
    else if (!this.#to.writableEnded) this.#to.end();
  }

  /** Reads on only while the link passes bytes and not too many are under way. */
  #pace(): void {
    if (this.#link.frozen || (this.#size > ON_THE_WAY && !this.#over)) this.#from.pause();
    else this.#from.resume();
  }
}
