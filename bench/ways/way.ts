import type { PluginOptions, Runner } from "../../src/index.ts";

/** The ways to a plugin, in the order of the table. */
export const WAY_NAMES = ["direct", "ssh -L", "stream", "forward", "relay"] as const;

export type WayName = (typeof WAY_NAMES)[number];

/** One way to plugins on the box. */
export interface Way extends AsyncDisposable {
  readonly name: WayName;
  /** For a plugin on the connection that all plugins of this way share; there is one before the first call. */
  runner(plugin: PluginOptions): Runner;
  /** Whether a start on the shared connection says something about this way: not if only the plugin's sockets are far. */
  readonly startsThere: boolean;
  /** For a plugin with a connection of its own, which is made at the start. Absent where there are no connections. */
  coldRunner?(plugin: PluginOptions): Runner;
}
