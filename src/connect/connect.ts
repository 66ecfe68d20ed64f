import type { Connection } from "../contract/connection.ts";
import { resolveSettings } from "./config/resolve-settings.ts";
import { type ConnectOptions, checkConnectOptions } from "./connect-options.ts";
import { type Destination, readDestination } from "./destination.ts";
import { checkPins } from "./host-key-pins.ts";
import { openSettings } from "./open-settings.ts";

/**
 * Connects to a box: dials, verifies its host key, logs in. The connection is the caller's, who closes it; runners can
 * share it as their `connection`.
 *
 * @param signal gives up connecting; it never ends a connection that was made
 * @throws {PluginError} `bad-options`, `connect-failed`, `box-refused`, `host-key-unknown`, `host-key-changed`,
 *   `host-key-revoked`, `auth-failed`, `config-error`, `timeout` or `aborted`, of a jump host too, and
 *   `forward-forbidden` of one; nothing stays open then
 */
export async function connect(
  destination: Destination,
  options: ConnectOptions = {},
  signal?: AbortSignal,
): Promise<Connection> {
  return prepareConnect(destination, options)(signal);
}

/** Checks everything that can be checked beforehand; what it gives then reads the configuration and connects. */
export function prepareConnect(
  destination: Destination,
  options: ConnectOptions,
): (signal?: AbortSignal) => Promise<Connection> {
  readDestination(destination);
  checkConnectOptions(options);
  checkPins(options.hostKeyFingerprints);
  return async (signal) => openSettings(await resolveSettings(destination, options, signal), signal);
}
