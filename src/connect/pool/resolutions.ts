import { throwIfAborted } from "../../lifetime/deadline.ts";
import { SharedAttempt } from "../../lifetime/shared-attempt.ts";
import { resolveSettings } from "../config/resolve-settings.ts";
import type { ConnectOptions } from "../connect-options.ts";
import type { DestinationParts } from "../destination.ts";
import type { Settings } from "../settings.ts";
import { resolveHops } from "../way/resolve-hops.ts";
import { identityOf } from "./identity.ts";

/** How long what was read holds. Long enough for a burst of starts, and for whoever edits a configuration no time. */
const HOLDS_MS = 2_000;

/** What a destination means. */
export interface Resolved {
  readonly settings: Settings;
  /** Who is connected to whom, by which way: see {@link identityOf}. */
  readonly identity: string;
}

interface Resolution {
  readonly attempt: SharedAttempt<Resolved>;
  /** When it was begun, so that an edit during the reading is seen in time. */
  readonly begun: number;
}

/**
 * Reads what destinations mean, and remembers it for two seconds: reading costs some milliseconds and a process, and many
 * starts come together. Those who ask meanwhile share one reading. What failed is not remembered.
 */
export class Resolutions {
  readonly #options: ConnectOptions;
  readonly #known = new Map<string, Resolution>();

  constructor(options: ConnectOptions) {
    this.#options = options;
  }

  /** @throws {PluginError} what reading threw, or `aborted` */
  resolve(destination: DestinationParts, signal?: AbortSignal): Promise<Resolved> {
    const key = JSON.stringify([destination.user, destination.host, destination.port]);
    const now = performance.now();
    const known = this.#known.get(key);
    if (known?.attempt.usable && now - known.begun < HOLDS_MS) return known.attempt.join(signal);
    for (const [name, { begun }] of this.#known) if (now - begun >= HOLDS_MS) this.#known.delete(name);
    const attempt = new SharedAttempt(
      (over) => this.#read(destination, over),
      () => {},
    );
    this.#known.set(key, { attempt, begun: now });
    return attempt.join(signal);
  }

  async #read(destination: DestinationParts, over: AbortSignal): Promise<Resolved> {
    const settings = await resolveSettings(destination, this.#options, over);
    const hops = await resolveHops(settings, (hop, options) => resolveSettings(hop, options, over)).catch(() => {
      throwIfAborted(over);
      // Whoever connects through them is told what is wrong.
      return [];
    });
    return { settings, identity: identityOf(settings, hops) };
  }
}
