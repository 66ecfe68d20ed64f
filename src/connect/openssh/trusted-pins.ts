import { PluginError } from "../../contract/errors.ts";
import { describeTarget } from "../destination.ts";
import { fingerprint } from "../host-key.ts";
import { readKnownHosts } from "../known-hosts.ts";
import { knownHostsFiles } from "../known-hosts-files.ts";
import type { Settings } from "../settings.ts";

/**
 * The settings without the pins of keys that a known_hosts file marks as `@revoked`: with pins `ssh` reads no such file.
 *
 * @throws {PluginError} `host-key-revoked` if no pin is left; `aborted`
 */
export async function trustedPins(settings: Settings, signal: AbortSignal): Promise<Settings> {
  const { options, target } = settings;
  const { hostKeyFingerprints: pins, hostKeyAlias } = options;
  if (!pins) return settings;
  const { host, port } = target;
  const known = await readKnownHosts({ host, port, hostKeyAlias, ...knownHostsFiles(options) }, signal);
  const revoked = [...known.keys, ...known.keysWithoutPort].filter(
    ({ marker, key }) => marker === "revoked" && pins.includes(fingerprint(key)),
  );
  const left = pins.filter((pin) => revoked.every(({ key }) => fingerprint(key) !== pin));
  if (left.length > 0) return { ...settings, options: { ...options, hostKeyFingerprints: left } };
  const places = revoked.map(({ file, line, key }) => `${file}:${line} marks ${fingerprint(key)} as @revoked`);
  throw new PluginError(
    "host-key-revoked",
    `No pinned key of ${describeTarget(target)} may be trusted: ${places.join(", ")}.`,
    { hint: "Ask the box's owner: the server needs a new key, and that needs a pin." },
  );
}
