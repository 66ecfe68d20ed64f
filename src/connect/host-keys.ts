import { resolve } from "node:path";
import createDebug from "debug";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import type { HostKeyPrompt } from "./connect-options.ts";
import { hashHost } from "./hashed-host.ts";
import { fingerprint, hostKeyType, readHostKey } from "./host-key.ts";
import {
  changedHostKey,
  declinedHostKey,
  knownHostsLine,
  pinnedHostKeyChanged,
  revokedHostKey,
  type ShownKey,
  unknownHostKey,
} from "./host-key-errors.ts";
import { checkPins } from "./host-key-pins.ts";
import { inTurn } from "./in-turn.ts";
import { judgeHostKey } from "./judge-host-key.ts";
import { readKnownHosts } from "./known-hosts.ts";
import { knownHostsName } from "./known-hosts-name.ts";
import { recordHostKey } from "./record-host-key.ts";

const debug = createDebug("go-plugin-ssh:hostkey");

/** A host key that a server showed, and what would make it trustworthy. */
export interface HostKeyQuestion extends ShownKey {
  /** `accept-new` records the key of a host that is not on record yet, and trusts it from then on; `ask` asks before. */
  strictHostKeyChecking: "yes" | "ask" | "accept-new";
  /** Asks whether an unknown key is right. @default nobody can be asked, which is as a no */
  confirm?: ((question: Omit<HostKeyPrompt, "signal">) => Promise<boolean>) | undefined;
  /** Whether the host's name is hidden where its key is written down. @default false */
  hashKnownHosts?: boolean | undefined;
  /** Pins: SHA256 fingerprints as `ssh-keygen -l` prints them. When given, they decide instead of the files. */
  hostKeyFingerprints?: readonly string[] | undefined;
  /** Gives up the answer. A key that is being recorded may still be. */
  signal?: AbortSignal | undefined;
}

/**
 * When it resolves, the key is trusted: it is pinned, or on record, or it was the first, with `accept-new` or confirmed,
 * and is on record now. A revoked key is refused whatever else is said.
 *
 * @throws {PluginError} `host-key-unknown`, `host-key-changed` or `host-key-revoked`, saying what is on record and what
 *   to do; `config-error` if a new key could not be recorded; `bad-options` for pins or a host that make no sense;
 *   `connect-failed` for a key that cannot be read; `aborted` or `timeout` for `signal`
 */
export function verifyHostKey(asked: HostKeyQuestion): Promise<void> {
  return within({ signal: asked.signal }, async (signal) => {
    checkPins(asked.hostKeyFingerprints);
    const question = { ...asked, key: readHostKey(asked.key) };
    if (await isTrusted(question, signal)) return;
    const [file] = question.userKnownHostsFile;
    if (file === undefined) throw nowhereToRecord(question);
    if (question.strictHostKeyChecking === "accept-new") await recordInTurn(question, file, signal);
    else await confirmInTurn(question, file, signal);
  });
}

/** Has the key recorded, unless someone else recorded one for this host while we waited for our turn. */
function recordInTurn(question: HostKeyQuestion, file: string, signal: AbortSignal): Promise<void> {
  return inTurn(resolve(file), async () => {
    if (!(await isTrusted(question, signal))) await record(question, file);
  });
}

/** Asks about the key, one connection to a host after the other: what was answered for one is on record for the next. */
async function confirmInTurn(question: HostKeyQuestion, file: string, signal: AbortSignal): Promise<void> {
  const { host, port, key } = question;
  await inTurn(`${resolve(file)}\0${knownHostsName(question)}`, async () => {
    if (await isTrusted(question, signal)) return;
    const asked = { host, port, type: hostKeyType(key), fingerprint: fingerprint(key), file };
    // Nobody waits for an answer that comes after the end.
    const isRight = await within({ signal }, async () => question.confirm?.(asked)).catch((failure: unknown) => {
      throw failure instanceof PluginError ? failure : declinedHostKey(question, failure);
    });
    if (isRight !== true) throw declinedHostKey(question);
    await recordInTurn(question, file, signal);
  });
}

/** Whether the key is trusted by what is on record now; `false` if it may become so. Throws if it is refused. */
async function isTrusted(question: HostKeyQuestion, signal: AbortSignal): Promise<boolean> {
  const known = await readKnownHosts(question, signal);
  for (const { file, line, why } of known.skipped) debug("%s:%d skipped: %s", file, line, why);
  for (const { file, why } of known.unreadable) debug("%s not read: %s", file, why);
  const verdict = judgeHostKey(known, question.key);
  debug("%s: key %s is %s", known.name, fingerprint(question.key), verdict.is);

  if (verdict.is === "revoked") throw revokedHostKey(question, verdict.by);
  const pins = question.hostKeyFingerprints;
  if (pins) {
    if (pins.includes(fingerprint(question.key))) return true;
    throw pinnedHostKeyChanged(question, pins);
  }
  if (verdict.is === "changed") throw changedHostKey(question, known.name, verdict.by);
  if (verdict.is === "known") return true;
  const { strictHostKeyChecking: strict, confirm } = question;
  if (strict === "accept-new" || (strict === "ask" && confirm)) return false;
  throw unknownHostKey(question, known, verdict.authority);
}

/** Puts the key on record in `file`. */
async function record(question: HostKeyQuestion, file: string): Promise<void> {
  const name = knownHostsName(question);
  const shown = question.hashKnownHosts ? hashHost(name) : name;
  await recordHostKey(file, knownHostsLine(shown, question.key));
  debug("key %s recorded in %s", fingerprint(question.key), file);
}

/** The error for `accept-new` without a file to write to. */
function nowhereToRecord({ host }: HostKeyQuestion): PluginError {
  return new PluginError("config-error", `The new host key of ${host} has no file to be recorded in.`, {
    hint: "Name one in `userKnownHostsFile`.",
  });
}
