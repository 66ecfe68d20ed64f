import { userInfo } from "node:os";
import { PluginError } from "../contract/errors.ts";

/** A box and a login, in parts. What is left out has OpenSSH's default. */
export interface DestinationParts {
  /** Name or address, an IPv6 address without brackets. */
  host: string;
  /** @default 22 */
  port?: number;
  /** @default the name of the account that runs this process */
  user?: string;
}

/** Where to connect: `ssh://user@host:port`, `user@host`, `host`, or an object. */
export type Destination = string | DestinationParts;

/** A destination with nothing left open. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

const USAGE = 'A destination is "ssh://user@host:port", "user@host", "host", or { host, port, user }.';

/**
 * Reads a destination as `ssh` does.
 *
 * @throws {PluginError} `bad-options` for what is no destination, and for a password in it, which is not repeated
 */
export function parseDestination(destination: Destination): Target {
  const parts = typeof destination === "string" ? parseText(destination) : destination;
  if (typeof parts !== "object" || parts === null) refuse("The destination must be a string or an object.");
  const { host, port = 22, user = userInfo().username } = parts;
  if (typeof host !== "string" || !/^[^\s\0@/[\]-][^\s\0@/[\]]*$/.test(host)) {
    refuse(`${JSON.stringify(host)} is not a host name or an address.`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) refuse(`${JSON.stringify(port)} is not a port.`);
  if (typeof user !== "string" || !/^[^\s\0-][^\s\0]*$/.test(user)) {
    refuse(`${JSON.stringify(user)} is not a user name.`);
  }
  return { host, port, user };
}

/** `user@host:port`, for messages and as the identity of a box and a login. */
export function describeTarget({ host, port, user }: Target): string {
  return `${user}@${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function parseText(text: string): DestinationParts {
  if (!/^ssh:\/\//i.test(text)) {
    if (text.includes("://")) refuse(`Only ssh:// is a known scheme, not ${JSON.stringify(text.split("://")[0])}://.`);
    const at = text.lastIndexOf("@");
    const host = text.slice(at + 1).replace(/^\[(.*)\]$/, "$1");
    if (/^[^:]*:\d*$/.test(host)) refuse("A port needs the form ssh://user@host:port.");
    return at === -1 ? { host } : { host, user: text.slice(0, at) };
  }
  return parseUrl(text);
}

/** The URL's own text stays out of messages where it may hold a password. */
function parseUrl(text: string): DestinationParts {
  const [, login, host = "", port, rest = ""] =
    /^ssh:\/\/(?:(.*)@)?(\[[^\]]*\]|[^:/?#@]*)(?::(\d+))?(.*)$/i.exec(text) ?? [];
  if (login?.includes(":")) {
    refuse("A password has no place in an ssh:// URL.", "Give a `password` callback instead.");
  }
  if (rest !== "" && rest !== "/")
    refuse(`An ssh:// URL ends after the port; it goes on with ${JSON.stringify(rest)}.`);
  return {
    host: host.replace(/^\[(.*)\]$/, "$1"),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(login === undefined ? {} : { user: decode(login) }),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse(`${JSON.stringify(text)} is not a user name.`);
  }
}

function refuse(what: string, hint = USAGE): never {
  throw new PluginError("bad-options", what, { hint });
}
