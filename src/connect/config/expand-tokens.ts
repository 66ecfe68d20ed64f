import { createHash } from "node:crypto";
import { homedir, hostname, userInfo } from "node:os";
import { PluginError } from "../../contract/errors.ts";
import type { Target } from "../destination.ts";

/** What the tokens of a configuration stand for, by their letter. */
export type Tokens = Readonly<Record<string, string>>;

/** A connection, as far as tokens can speak of it. */
export interface TokenSubject {
  /** The name as it was given. */
  alias: string;
  target: Target;
  hostKeyAlias?: string | undefined;
  /** As {@link ConnectOptions.proxyJump}. */
  proxyJump?: string | undefined;
}

/** The tokens that most keywords take: `%C %d %h %i %j %k %L %l %n %p %r %u`. `%%` always stands for itself. */
export function connectionTokens({ alias, target, hostKeyAlias, proxyJump }: TokenSubject): Tokens {
  const { host, user } = target;
  const port = String(target.port);
  const here = hostname();
  return {
    C: createHash("sha1").update(`${here}${host}${port}${user}`).digest("hex"),
    d: accountHome(),
    h: host,
    i: String(process.getuid?.() ?? ""),
    j: lastHop(proxyJump),
    k: hostKeyAlias ?? alias,
    L: here.split(".")[0] ?? here,
    l: here,
    n: alias,
    p: port,
    r: user,
    u: accountName(),
  };
}

/**
 * Puts in what `%` tokens and `${VARIABLE}` stand for, in one pass, so that what was put in is not read again.
 *
 * @param keyword whose value it is, for the message
 * @throws {PluginError} `config-error` for a token or a variable that stands for nothing
 */
export function expandTokens(keyword: string, text: string, tokens: Tokens): string {
  return text.replace(/%(.?)|\$\{([^}]*)\}/gs, (whole, letter?: string, variable?: string) => {
    if (letter === "%") return "%";
    const value = variable === undefined ? tokens[letter ?? ""] : process.env[variable];
    if (value !== undefined) return value;
    throw new PluginError("config-error", `${keyword} has ${JSON.stringify(whole)}, which stands for nothing here.`, {
      hint: variable === undefined ? "A literal % is written %%." : `The environment has no ${variable}.`,
    });
  });
}

/**
 * Puts in the home directory of the account, which is where `ssh` looks, whatever HOME says.
 *
 * @throws {PluginError} `config-error` for the home of another account
 */
export function expandTilde(keyword: string, file: string, home = accountHome()): string {
  if (file === "~" || file.startsWith("~/")) return home + file.slice(1);
  if (!file.startsWith("~")) return file;
  throw new PluginError("config-error", `${keyword} names ${JSON.stringify(file)}, below another account's home.`, {
    hint: "Write the whole path.",
  });
}

function accountHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    return homedir();
  }
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return "";
  }
}

function lastHop(proxyJump = ""): string {
  if (proxyJump === "none") return "";
  const hop = proxyJump.split(",").at(-1) ?? "";
  const place = hop.slice(hop.lastIndexOf("@") + 1);
  return /^\[(.*)\]/.exec(place)?.[1] ?? place.replace(/:\d+$/, "");
}
