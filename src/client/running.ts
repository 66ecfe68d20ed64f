import type { Address } from "../contract/address.ts";
import type { AttachedRunner } from "../contract/runner.ts";
import type { PluginTls } from "../dial/secure.ts";
import type { PluginConnection } from "./plugin-connection.ts";
import type { PluginSet } from "./plugin-set.ts";

/** Everything that exists while a plugin runs, and only then. */
export interface Running {
  readonly runner: AttachedRunner;
  /** The negotiated version of the application's protocol, and what it offers. */
  readonly version: number;
  readonly plugins: PluginSet;
  /** Where it listens, as seen from the plugin's side, or, if that is how it was attached to, from the host's. */
  readonly address: Address;
  readonly side: "host" | "plugin";
  readonly tls: PluginTls | undefined;
  readonly connection: PluginConnection;
  /** Resolves when all of its stderr has been read. */
  readonly logged: Promise<void>;
  /** Lets go of a tap that takes nothing, so that the reading ends. */
  readonly dropTap: () => void;
}
