import { readFile } from "node:fs/promises";
import { throwIfAborted } from "../lifetime/deadline.ts";
import { lowerCase } from "./host-pattern.ts";
import { type Marker, readKnownHostsLine } from "./known-hosts-line.ts";
import { knownHostsName, type NamedHost } from "./known-hosts-name.ts";

/** One key that is on record for a host, and where. */
export interface KnownHostKey {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  readonly marker: Marker;
  /** The type inside the key: `ssh-rsa`, never `rsa-sha2-512`. */
  readonly type: string;
  /** The key as it travels. */
  readonly key: Buffer;
}

/** A line that was passed over, for people who wonder why. */
export interface SkippedLine {
  readonly file: string;
  readonly line: number;
  readonly why: string;
}

/** A host, and the files that may know its keys. */
export interface KnownHostsQuery extends NamedHost {
  /** Paths, in the order in which they are read. `accept-new` writes to the first. */
  userKnownHostsFile: readonly string[];
  /** Paths, read after the user's. */
  globalKnownHostsFile: readonly string[];
}

/** All that is on record for one host. */
export interface KnownHosts {
  /** The name that was looked up: `host`, or `[host]:port` for a port that is not 22. */
  readonly name: string;
  readonly keys: readonly KnownHostKey[];
  /** For a port that is not 22: what is on record for the bare `host`. It can vouch for a key, never accuse one. */
  readonly keysWithoutPort: readonly KnownHostKey[];
  readonly skipped: readonly SkippedLine[];
  /** Files that exist and cannot be read, with the reason. OpenSSH passes over them, too. */
  readonly unreadable: readonly { readonly file: string; readonly why: string }[];
}

/**
 * Reads everything that the known_hosts files say about a host. Missing files are fine.
 *
 * @throws {PluginError} `bad-options` if no known_hosts line could be about that host; `aborted` or `timeout` for `signal`
 */
export async function readKnownHosts(query: KnownHostsQuery, signal?: AbortSignal): Promise<KnownHosts> {
  const name = knownHostsName(query);
  const bareName = query.hostKeyAlias === undefined ? lowerCase(query.host) : name;
  const found = { keys: [], keysWithoutPort: [], skipped: [], unreadable: [] } as Mutable<Omit<KnownHosts, "name">>;
  for (const file of [...query.userKnownHostsFile, ...query.globalKnownHostsFile]) {
    throwIfAborted(signal);
    const text = await readFile(file, "utf8").catch((failure: NodeJS.ErrnoException) => {
      if (failure.code !== "ENOENT") found.unreadable.push({ file, why: failure.code ?? failure.message });
      return "";
    });
    const { keys, skipped } = findHost(text, file, name);
    const bare = bareName === name ? { keys: [], skipped: [] } : findHost(text, file, bareName);
    found.keys.push(...keys);
    found.keysWithoutPort.push(...bare.keys);
    found.skipped.push(...skipped, ...bare.skipped.filter(({ line }) => skipped.every((other) => other.line !== line)));
  }
  return { name, ...found };
}

/**
 * What `text`, the content of `file`, says about the host that is looked up as `name`.
 *
 * @param name in lower case, as `knownHostsName` gives it
 */
export function findHost(text: string, file: string, name: string): { keys: KnownHostKey[]; skipped: SkippedLine[] } {
  const keys: KnownHostKey[] = [];
  const skipped: SkippedLine[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    const said = readKnownHostsLine(content, name);
    const place = { file, line: index + 1 };
    if (said.is === "broken") skipped.push({ ...place, why: said.why });
    if (said.is === "key") keys.push({ ...place, marker: said.marker, type: said.type, key: said.key });
  }
  return { keys, skipped };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] };
