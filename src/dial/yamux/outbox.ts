import type { Writable } from "node:stream";
import type { Frame } from "./frame.ts";
import { Packer } from "./packer.ts";

/** How much goes to the carrier before it is asked whether it can take more. */
const BATCH_BYTES = 64 * 1024;

/** How much one stream may send before it is the next one's turn. */
const TURN_BYTES = 16 * 1024;

/** Somebody who has data to send. */
export interface Sender {
  /** Packs one data frame with at most `limit` bytes. Gives whether there is more that may be sent now. */
  pack(packer: Packer, limit: number): boolean;
}

/**
 * What is to be written to the carrier. Frames without data go first, so that no window update and no ping ever waits
 * for a stream's data; then the streams that may send take turns. Everything that was asked for in one turn of the
 * event loop is written together. Nothing is written while the carrier has enough.
 */
export class Outbox {
  readonly #carrier: Writable;
  readonly #packer = new Packer();
  #control: Frame[] = [];
  readonly #senders = new Set<Sender>();
  #isScheduled = false;
  #isOver = false;

  constructor(carrier: Writable) {
    this.#carrier = carrier;
    carrier.on("drain", this.#pump);
  }

  /** How many frames without data wait for the carrier. */
  get waiting(): number {
    return this.#control.length;
  }

  /** `frame`, which has no body, will be sent after those that were given before. */
  control(frame: Frame): void {
    if (this.#isOver) return;
    this.#control.push(frame);
    this.#schedule();
  }

  /** `sender` will be asked for data when it is its turn. */
  ready(sender: Sender): void {
    this.#senders.add(sender);
    this.#schedule();
  }

  /** `sender` will not be asked any more. */
  forget(sender: Sender): void {
    this.#senders.delete(sender);
  }

  /** What has no data is written now, and nothing will ever be written again. */
  finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#senders.clear();
    this.#carrier.off("drain", this.#pump);
    if (!this.#carrier.writable) return;
    this.#packControl();
    this.#packer.writeTo(this.#carrier);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isOver) return;
    this.#isScheduled = true;
    process.nextTick(() => {
      this.#isScheduled = false;
      this.#pump();
    });
  }

  readonly #pump = (): void => {
    while (!this.#isOver && this.#carrier.writable && !this.#carrier.writableNeedDrain) {
      this.#packControl();
      for (const sender of this.#senders) {
        if (this.#packer.bytes >= BATCH_BYTES) break;
        const isAlone = this.#senders.size === 1;
        this.#senders.delete(sender);
        // A sender that is added again comes last, and is met again in this very loop.
        if (sender.pack(this.#packer, isAlone ? BATCH_BYTES : TURN_BYTES)) this.#senders.add(sender);
      }
      if (this.#packer.bytes === 0) return;
      this.#packer.writeTo(this.#carrier);
    }
  };

  #packControl(): void {
    for (const frame of this.#control) this.#packer.header(frame);
    this.#control = [];
  }
}
