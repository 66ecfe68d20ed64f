import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";
import { harmless } from "../../lifetime/tail.ts";
import type { ConnectOptions } from "../connect-options.ts";
import type { DestinationParts } from "../destination.ts";
import { matchesPattern } from "../host-pattern.ts";
import { expandHome } from "../identity-files.ts";
import { type ConfigLine, parseConfigLine } from "./config-line.ts";
import type { ConfigValues } from "./config-values.ts";
import { expandTokens } from "./expand-tokens.ts";
import { matchingFiles } from "./matching-files.ts";
import { readJump } from "./read-jump.ts";

/** As OpenSSH: a file that includes itself is found out by this. */
const DEEPEST = 16;
/** More files than any configuration has: includes can multiply. */
const MOST_FILES = 1_000;
/** More than any configuration has. */
const LARGEST = 4 * 1024 * 1024;

const INSTALL_HINT =
  'Install OpenSSH\'s `ssh`, which reads it; or set `configFile: "none"` and give what is needed as options.';

/**
 * What the OpenSSH configuration says about a destination, read without any help of `ssh`: Host, HostName, User, Port,
 * IdentityFile, ProxyJump and Include. What else applies to the destination is refused by name, because to leave it out
 * could mean another box, another key or no check. Files that are not there say nothing.
 *
 * @throws {PluginError} `config-error` naming keyword, file and line; `aborted` or `timeout`
 */
export function readConfiguration(
  parts: DestinationParts,
  options: Pick<ConnectOptions, "configFile" | "sshOptions">,
  signal?: AbortSignal,
): Promise<ConfigValues> {
  return within({ signal }, (over) => new Reader(parts, over).read(options));
}

/** Where a line stands. */
interface Place {
  file: string;
  line: number;
}

/** A file that is being read. */
interface Source {
  file: string;
  depth: number;
  /** What relative includes are below: the user's directory or the system's. */
  base: string;
  /** Whether it was named by whoever connects, so that it must be there. */
  named: boolean;
  /** Whether it must belong to this account or root, and to nobody else. */
  guarded: boolean;
  /** Whether it is included where nothing applies. */
  never: boolean;
}

class Reader {
  readonly #parts: DestinationParts;
  readonly #signal: AbortSignal;
  readonly #values = new Map<string, string[]>();
  #files = 0;

  constructor(parts: DestinationParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  async read({
    configFile,
    sshOptions = [],
  }: Pick<ConnectOptions, "configFile" | "sshOptions">): Promise<ConfigValues> {
    for (const [index, text] of sshOptions.entries()) {
      const line = parseConfigLine(text);
      if (line) this.#take(line, { file: "sshOptions", line: index + 1 });
    }
    const { host, port, user } = this.#parts;
    if (port !== undefined) this.#setFirst("port", String(port));
    if (user !== undefined) this.#setFirst("user", user);
    const own = join(homedir(), ".ssh");
    const common = { depth: 0, named: false, never: false };
    if (configFile === undefined) {
      await this.#readFile({ ...common, file: join(own, "config"), base: own, guarded: true }, true);
      await this.#readFile({ ...common, file: "/etc/ssh/ssh_config", base: "/etc/ssh", guarded: false }, true);
    } else if (configFile !== "none") {
      await this.#readFile({ ...common, file: expandHome(configFile), base: own, named: true, guarded: false }, true);
    }
    const name = this.#values.get("hostname")?.[0];
    if (name !== undefined) this.#values.set("hostname", [expandTokens("HostName", name, { h: host })]);
    return this.#values;
  }

  /** Reads a file from its beginning, where lines apply as they did where it is included. */
  async #readFile(source: Source, applies: boolean): Promise<void> {
    const text = await this.#text(source);
    if (text === undefined) return;
    let active = applies && !source.never;
    for (const [index, raw] of text.split("\n").entries()) {
      const line = parseConfigLine(raw);
      if (!line) continue;
      const place = { file: source.file, line: index + 1 };
      if (line.keyword === "host") active = !source.never && this.#isMeant(words(line, place));
      else if (line.keyword === "match" && source.never) active = false;
      else if (line.keyword === "include") await this.#include(words(line, place), place, source, active);
      else if (line.keyword === "match") throw unknown(line, place);
      else if (active) this.#take(line, place);
    }
  }

  /** As OpenSSH's `Host`: the first pattern with a `!` that fits is a no, whatever fits besides. */
  #isMeant(patterns: readonly string[]): boolean {
    const fits = (pattern: string) => matchesPattern(this.#parts.host, pattern);
    return patterns.some(fits) && !patterns.some((pattern) => pattern.startsWith("!") && fits(pattern.slice(1)));
  }

  async #include(patterns: readonly string[], place: Place, from: Source, active: boolean): Promise<void> {
    for (const pattern of patterns) {
      if (pattern === "") throw broken(place, "Include has an empty argument");
      const isUsers = from.base !== "/etc/ssh";
      if (pattern.startsWith("~") && (!isUsers || !/^~(\/|$)/.test(pattern))) {
        throw broken(place, `Include cannot use the path ${JSON.stringify(pattern)} there`);
      }
      const path = expandHome(pattern);
      for (const file of await matchingFiles(path.startsWith("/") ? path : `${from.base}/${path}`)) {
        const source = {
          ...from,
          file,
          depth: from.depth + 1,
          named: false,
          guarded: true,
          never: from.never || !active,
        };
        if (source.depth > DEEPEST) throw broken(place, "Include goes in circles, or too deep");
        await this.#readFile(source, active);
      }
    }
  }

  /** Notes what a line says that applies. */
  #take(line: ConfigLine, place: Place): void {
    const { keyword } = line;
    if (!["hostname", "user", "port", "identityfile", "proxyjump"].includes(keyword)) throw unknown(line, place);
    const value = keyword === "proxyjump" ? readJump(line.rest) : single(line, place);
    if (value === undefined || (keyword === "port" && !isPort(value))) {
      throw broken(place, `${line.written} cannot be ${JSON.stringify(harmless(line.rest))}`);
    }
    const before = this.#values.get(keyword) ?? [];
    if (keyword !== "identityfile") this.#setFirst(keyword, value);
    else if (!before.includes(value)) this.#values.set(keyword, [...before, value]);
  }

  #setFirst(keyword: string, value: string): void {
    if (!this.#values.has(keyword)) this.#values.set(keyword, [value]);
  }

  async #text({ file, named, guarded }: Source): Promise<string | undefined> {
    throwIfAborted(this.#signal);
    this.#files += 1;
    if (this.#files > MOST_FILES) throw new PluginError("config-error", `${file} is one of too many included files.`);
    try {
      const { uid, mode, size } = await stat(file);
      if (size > LARGEST) throw new PluginError("config-error", `${file} is too large for a configuration.`);
      if (guarded && ((uid !== 0 && uid !== process.getuid?.()) || (mode & 0o022) !== 0)) {
        throw new PluginError("config-error", `Others can change ${file}, so it is not used.`, {
          hint: `Try \`chmod go-w ${file}\`; it must belong to you or root.`,
        });
      }
      return await readFile(file, { encoding: "utf8", signal: this.#signal });
    } catch (failure) {
      if (failure instanceof PluginError) throw failure;
      if ((failure as NodeJS.ErrnoException).code === "ENOENT" && !named) return undefined;
      const { code } = failure as NodeJS.ErrnoException;
      throw new PluginError("config-error", `The OpenSSH configuration ${file} cannot be read (${code}).`, {
        cause: failure,
        hint: 'Name another one in `configFile`, or read none with `configFile: "none"`.',
      });
    }
  }
}

function words(line: ConfigLine, place: Place): string[] {
  return line.words ?? fail(broken(place, `${line.written} has a quote that is not closed`));
}

/** The one word of a line. */
function single(line: ConfigLine, place: Place): string {
  const [value, ...others] = words(line, place);
  if (value === undefined || value === "") throw broken(place, `${line.written} has no value`);
  if (others.length > 0) throw broken(place, `${line.written} has more than one value`);
  return value;
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function broken({ file, line }: Place, what: string): PluginError {
  return new PluginError("config-error", `${file} line ${line}: ${what}.`, { hint: "Mend that line." });
}

/** The error for a keyword that only `ssh` can read. */
function unknown({ written }: ConfigLine, { file, line }: Place): PluginError {
  const text = `${file} line ${line}: ${JSON.stringify(harmless(written))} cannot be read without OpenSSH's \`ssh\`, and there is none on the PATH.`;
  return new PluginError("config-error", text, { hint: INSTALL_HINT });
}

function fail(failure: PluginError): never {
  throw failure;
}
