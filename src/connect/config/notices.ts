import createDebug from "debug";
import type { ConnectOptions } from "../connect-options.ts";
import type { Settings } from "../settings.ts";
import type { Configuration } from "./config-values.ts";
import { keywordNamed } from "./keywords.ts";

const debug = createDebug("go-plugin-ssh:config");

/** What each callback was told already: a pool resolves a box again for every lease. */
const told = new WeakMap<NonNullable<ConnectOptions["onNotice"]>, Set<string>>();

/** Says a sentence once: to `onNotice`, else where `DEBUG` shows it. What the callback throws is its own affair. */
export function say({ onNotice }: Pick<ConnectOptions, "onNotice">, text: string): void {
  debug("%s", text);
  if (!onNotice) return;
  const before = told.get(onNotice) ?? new Set();
  told.set(onNotice, before);
  if (before.has(text)) return;
  before.add(text);
  try {
    onNotice(text);
  } catch (failure) {
    debug("onNotice threw: %s", failure);
  }
}

/** What a configuration sets and a connection will not do, a sentence each. */
export function configurationNotices(
  configuration: Configuration,
  { alias, needsOpenSsh }: Settings,
  given: ConnectOptions,
): string[] {
  const { backend = "auto" } = given;
  const bySystem = backend === "openssh" || (backend === "auto" && needsOpenSsh.length > 0);
  const where = `in the OpenSSH configuration of ${alias}`;
  const notices: string[] = [];
  if (configuration.one("StrictHostKeyChecking") === "false" && given.strictHostKeyChecking === undefined) {
    notices.push(`StrictHostKeyChecking no ${where} is taken as accept-new: a changed host key is always refused.`);
  }
  for (const name of configuration.changed()) {
    const keyword = keywordNamed(name);
    if (keyword.treatment !== "said" || isOff(configuration, name) || (bySystem && keyword.bySsh)) continue;
    notices.push(`${keyword.name} ${where} is not done: ${keyword.note}.`);
  }
  return notices;
}

/** Whether it is set so that nothing is asked for. A local command is not run either unless it is permitted. */
function isOff(configuration: Configuration, name: string): boolean {
  if (name === "localcommand" && configuration.one("PermitLocalCommand") === undefined) return true;
  return ["no", "false", "none"].includes(configuration.one(name) ?? "");
}
