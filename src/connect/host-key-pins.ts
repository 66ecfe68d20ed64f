import { PluginError } from "../contract/errors.ts";

/**
 * Accepts `pins`, the option `hostKeyFingerprints`, if each is a SHA256 fingerprint as `ssh-keygen -l` prints it.
 * To be called before anything is opened.
 *
 * @throws {PluginError} `bad-options` for anything else, and for an empty list: it would trust no key at all
 */
export function checkPins(pins: readonly string[] | undefined): void {
  if (pins === undefined) return;
  if (!Array.isArray(pins) || pins.length === 0) {
    throw new PluginError("bad-options", "`hostKeyFingerprints` must be a list of at least one fingerprint.", {
      hint: "Leave it out to rely on the known_hosts files.",
    });
  }
  const bad = pins.findIndex((pin) => !isPin(pin));
  if (bad < 0) return;
  throw new PluginError(
    "bad-options",
    `\`hostKeyFingerprints\` must hold \`SHA256:\` and 43 characters of base64 without padding, not ${JSON.stringify(pins[bad])}.`,
    { hint: "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the box prints it." },
  );
}

/** Whether `pin` could be the fingerprint of any key. */
function isPin(pin: unknown): boolean {
  if (typeof pin !== "string" || !pin.startsWith("SHA256:")) return false;
  const digest = pin.slice("SHA256:".length);
  return digest.length === 43 && Buffer.from(digest, "base64").toString("base64") === `${digest}=`;
}
