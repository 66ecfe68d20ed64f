import type { Duplex } from "node:stream";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";
import { harmless } from "../../lifetime/tail.ts";
import type { ConnInfo } from "../gen/plugin_pb.ts";
import { type Announcements, PATIENCE_MS } from "./announcements.ts";
import type { ConnInfoStream } from "./conn-info-stream.ts";
import type { Multiplexer } from "./multiplexer.ts";
import { Turns } from "./turns.ts";

const debug = createDebug("go-plugin-ssh:broker");

/**
 * Opens streams to the plugin's listeners over one connection. The plugin cannot see from a stream whom it is for, so
 * each is asked for before ("knock"), and there is one at a time.
 */
export class KnockingDialer {
  readonly #multiplexer: Multiplexer;
  readonly #stream: ConnInfoStream;
  readonly #answers: Announcements;
  readonly #turns = new Turns();
  /** How many knocks the plugin still owes an answer to, by id, although nobody waits for it any more. */
  readonly #owed = new Map<number, number>();

  constructor(multiplexer: Multiplexer, stream: ConnInfoStream, answers: Announcements) {
    this.#multiplexer = multiplexer;
    this.#stream = stream;
    this.#answers = answers;
  }

  /**
   * A stream to the plugin's listener `id`.
   *
   * @throws {PluginError} `timeout` with go-plugin's text if the plugin does not answer within 5 s; `forward-failed`
   *   if it refuses; `aborted`; or the reason of the broker's end
   */
  dial(id: number, signal: AbortSignal): Promise<Duplex> {
    return within(
      { signal, until: [this.#stream.over] },
      (over) => {
        return this.#turns.take(() => {
          throwIfAborted(over);
          return this.#knock(id);
        });
      },
      // Once the plugin has been asked, the stream has to be opened, or it would take the next one for this one.
      (late) => late.destroy(),
    );
  }

  /** Takes an answer of the plugin's: for whoever waits, or for somebody who gave up. */
  answer(info: ConnInfo): void {
    const { serviceId: id, knock } = info;
    const owed = this.#owed.get(id) ?? 0;
    if (this.#answers.isAwaited(id) || owed === 0 || !knock?.ack) {
      this.#answers.offer(info);
      return;
    }
    if (owed === 1) this.#owed.delete(id);
    else this.#owed.set(id, owed - 1);
    if (knock.error !== "") return;
    debug("id %d was opened too late", id);
    this.#openLate();
  }

  async #knock(id: number): Promise<Duplex> {
    this.#answers.forget(id);
    let sent = false;
    const answered = this.#answers.take(id, {
      until: [this.#stream.over],
      onTimeout: () => {
        if (sent) this.#owed.set(id, (this.#owed.get(id) ?? 0) + 1);
        const what = `timeout waiting for multiplexing knock handshake on id ${id}`;
        return new PluginError("timeout", what, {
          hint: `The plugin did not say within ${PATIENCE_MS} ms that it accepts this id.`,
        });
      },
    });
    answered.catch(() => {});
    await this.#stream.send({ serviceId: id, knock: { knock: true } });
    sent = true;
    const { knock } = await answered;
    if (!knock?.knock || !knock.ack) {
      const what = `handshake failed for multiplexing on id ${id}; expected knock and ack, but got something else`;
      throw new PluginError("forward-failed", what, { hint: "Is the plugin in the same mode as the host?" });
    }
    if (knock.error !== "")
      throw new PluginError("forward-failed", `failed to knock for id ${id}: ${harmless(knock.error)}`);
    return this.#open();
  }

  /** The plugin gives its next stream to whoever knocked. If that one has left, an empty stream takes the place. */
  #openLate(): void {
    try {
      this.#open().destroy();
    } catch (failure) {
      debug("no stream in place of a late one: %s", (failure as Error).message);
    }
  }

  #open(): Duplex {
    const stream = this.#multiplexer.open();
    return stream.on("error", (failure) => debug("brokered stream: %s", failure.message));
  }
}
