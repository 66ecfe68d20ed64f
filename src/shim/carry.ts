import type { Address } from "../contract/address.ts";
import type { SshRunner } from "../index.ts";
import type { HandshakeFields } from "./handshake-fields.ts";
import type { Log } from "./log-words.ts";

/** A way from the host to the plugin, chosen before the plugin starts, because it is told whose certificate to expect. */
export interface Carry {
  readonly name: "pass" | "terminate";
  /** What the plugin is told. */
  readonly variables: Readonly<Record<string, string>>;
  /** Opens it, once the plugin has said where it listens. */
  open(parts: CarryParts, signal: AbortSignal): Promise<OpenCarry>;
}

/** A way that is open. It goes with the process. */
export interface OpenCarry {
  /** Where the host connects. */
  readonly address: Address;
  /** The certificate that the host is to see there, as it stands in the handshake line; `undefined`: the plugin's own. */
  readonly certificate?: string | undefined;
  /** Resolves when no connection of the host's is open: it has been handed all that the plugin sent. */
  settled(): Promise<void>;
}

/** What a way is made of. */
export interface CarryParts {
  readonly handshake: HandshakeFields;
  readonly runner: SshRunner;
  readonly log: Log;
}
