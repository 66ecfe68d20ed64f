import { PluginError } from "../contract/errors.ts";
import { fingerprint, hostKeyType } from "./host-key.ts";
import type { KnownHostKey, KnownHosts, KnownHostsQuery } from "./known-hosts.ts";

/** A key that a server showed, who showed it, and where it was looked up. */
export interface ShownKey extends KnownHostsQuery {
  key: Buffer;
}

/** The line that vouches for the key in a known_hosts file. */
export function knownHostsLine(name: string, key: Buffer): string {
  return `${name} ${hostKeyType(key)} ${key.toString("base64")}`;
}

/** `host-key-unknown`, with all that is needed to check the key and to put it on record. */
export function unknownHostKey(shown: ShownKey, known: KnownHosts, authority: KnownHostKey | undefined): PluginError {
  const files = [...shown.userKnownHostsFile, ...shown.globalKnownHostsFile];
  const what = [
    `${box(shown)} shows a host key that no file vouches for: ${describe(shown.key)}.`,
    `No usable entry for ${known.name} is in ${files.join(", ") || "any file, because none is configured"}.`,
    ...known.unreadable.map(({ file, why }) => `${file} could not be read (${why}).`),
    ...known.skipped.map(({ file, line, why }) => `${file}:${line} was skipped: ${why}.`),
    ...(authority
      ? [`${place(authority)} names a certificate authority, but host certificates are not understood here.`]
      : []),
  ].join(" ");
  const hint = [
    `Compare the fingerprint with what the box's owner says, or with \`${scan(shown)}\` from a network that you trust.`,
    `If it is right, add this line to ${shown.userKnownHostsFile[0] ?? "a known_hosts file"}:`,
    `  ${knownHostsLine(known.name, shown.key)}`,
    'Or set `strictHostKeyChecking: "accept-new"`, which records the key of a host that is seen for the first time.',
  ].join("\n");
  return new PluginError("host-key-unknown", what, { hint });
}

/**
 * `host-key-unknown`, for a key that whoever was asked about it did not confirm.
 *
 * @param cause what was thrown instead of an answer
 */
export function declinedHostKey(shown: ShownKey, cause?: unknown): PluginError {
  const what = `The host key of ${box(shown)} was not confirmed: ${describe(shown.key)}.`;
  const hint = `Compare the fingerprint with what the box's owner says, or with \`${scan(shown)}\` from a network that you trust.`;
  return new PluginError("host-key-unknown", what, { hint, cause });
}

/** `host-key-changed`, naming every record that disagrees and the commands that remove them. */
export function changedHostKey(
  shown: ShownKey,
  name: string,
  [first, ...rest]: readonly [KnownHostKey, ...KnownHostKey[]],
): PluginError {
  const records = [first, ...rest];
  const type = hostKeyType(shown.key);
  const what = [
    `${box(shown)} shows another host key than the one on record: ${describe(shown.key)},`,
    `but ${records.map((record) => `${place(record)} has ${describe(record.key)}`).join(", and ")}.`,
    ...(first.type === type ? [] : [`No ${type} key is on record, and the server did not show one of a type that is.`]),
    "Perhaps someone else answers in its place, or it was set up anew.",
  ].join(" ");
  const files = [...new Set(records.map(({ file }) => file))];
  const commands = files.map((file) => `\`ssh-keygen -f ${quote(file)} -R ${quote(name)}\``);
  const hint = `Ask the box's owner. Only if the key was changed on purpose, forget the old one with ${commands.join(" and ")}.`;
  return new PluginError("host-key-changed", what, { hint });
}

/** `host-key-changed`, naming the pins that were expected. */
export function pinnedHostKeyChanged(shown: ShownKey, pins: readonly string[]): PluginError {
  const what = `${box(shown)} shows a host key that is not pinned: ${describe(shown.key)}. \`hostKeyFingerprints\` expects ${pins.join(" or ")}.`;
  const hint = `Ask the box's owner, from whom the pins came. A server has one key for each type, and a pin fits one of them: \`${scan(shown)}\` prints all.`;
  return new PluginError("host-key-changed", what, { hint });
}

/** `host-key-revoked`, naming the line that says so. */
export function revokedHostKey(shown: ShownKey, by: KnownHostKey): PluginError {
  const what = `${box(shown)} shows a host key that ${place(by)} marks as @revoked: ${describe(shown.key)}. Whoever stole it may be answering.`;
  return new PluginError("host-key-revoked", what, { hint: "Ask the box's owner: the server needs a new key." });
}

/** Who showed the key. */
function box({ host, port }: ShownKey): string {
  return `${host} (port ${port})`;
}

/** A key as people compare it. */
function describe(key: Buffer): string {
  return `${hostKeyType(key)} ${fingerprint(key)}`;
}

/** A line of a file, as editors understand it. */
function place({ file, line }: KnownHostKey): string {
  return `${file}:${line}`;
}

/** The command that prints the fingerprints of all the keys a server has. */
function scan({ host, port }: ShownKey): string {
  return `ssh-keyscan -p ${port} ${quote(host)} | ssh-keygen -lf -`;
}

/** One word, as it may be pasted into a POSIX shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
