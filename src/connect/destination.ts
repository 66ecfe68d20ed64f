import { isIPv6 } from "node:net";
import { userInfo } from "node:os";
import { PluginError } from "../contract/errors.ts";

/** A box and a login, in parts. What is left out is taken from the OpenSSH configuration, and then as told here. */
export interface DestinationParts {
  /** Name or address, an IPv6 address without brackets, or an alias of the configuration. */
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

/** A name in any script; nothing that a program could take for an option, a path or a login. */
const HOST_NAME = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}._-]*$/u;
/** No account's name has a colon, so what has one is a name with a password. */
const USER_NAME = /^[^\s\p{Cc}:-][^\s\p{Cc}:]*$/u;

/**
 * Reads a destination as `ssh` does: the parts that it names, and no others.
 *
 * @throws {PluginError} `bad-options` for what is no destination, and for a password in it, which is not repeated
 */
export function readDestination(destination: Destination): DestinationParts {
  const parts = typeof destination === "string" ? parseText(destination) : destination;
  if (typeof parts !== "object" || parts === null) refuse("The destination must be a string or an object.");
  const { host, port, user, ...others } = parts;
  const [other] = Object.keys(others);
  if (other !== undefined) refuse(`A destination has no ${JSON.stringify(other)}.`);
  if (typeof host !== "string" || !(HOST_NAME.test(host) || isIPv6(host))) {
    refuse(`${quoted(host)} is not a host name or an address.`);
  }
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65_535)) {
    refuse(`${quoted(port)} is not a port.`);
  }
  if (typeof user === "string" && user.includes(":")) refusePassword();
  if (user !== undefined && (typeof user !== "string" || !USER_NAME.test(user))) {
    refuse(`${quoted(user)} is not a user name.`);
  }
  return { host, ...(port !== undefined && { port }), ...(user !== undefined && { user }) };
}

/**
 * As {@link readDestination}, with OpenSSH's defaults for what is left out.
 *
 * @throws {PluginError} `bad-options`
 */
export function parseDestination(destination: Destination): Target {
  const { host, port = 22, user = ownName() } = readDestination(destination);
  return { host, port, user };
}

/** `user@host:port`, for messages and as the identity of a box and a login. */
export function describeTarget({ host, port, user }: Target): string {
  return `${user}@${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** An `ssh://` URL, which {@link readDestination} reads as the same parts. */
export function destinationUrl({ host, port, user }: DestinationParts): string {
  const login = user === undefined ? "" : `${encodeURIComponent(user)}@`;
  return `ssh://${login}${host.includes(":") ? `[${host}]` : host}${port === undefined ? "" : `:${port}`}`;
}

function parseText(text: string): DestinationParts {
  const [, scheme, rest = text] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  if (scheme !== undefined && scheme.toLowerCase() !== "ssh")
    refuse(`Only ssh:// is a known scheme, not ${scheme}://.`);
  // Before anything else, because a password may contain whatever ends a part of a URL.
  if (rest.slice(0, Math.max(0, rest.lastIndexOf("@"))).includes(":")) refusePassword();
  return scheme === undefined ? parseLogin(text) : parseUrl(rest);
}

/** `user@host`, where a user's name may contain an `@`. */
function parseLogin(text: string): DestinationParts {
  const at = text.lastIndexOf("@");
  const host = text.slice(at + 1);
  if (/^(\[.*\]|[^:]*):\d*$/.test(host)) refuse("A port needs the form ssh://user@host:port.");
  return { host: withoutBrackets(host), ...(at === -1 ? {} : { user: text.slice(0, at) }) };
}

/** What follows `ssh://`. Where it goes on too long, the rest is not repeated: it may hold a secret. */
function parseUrl(text: string): DestinationParts {
  const [, login, host = "", port] =
    /^(?:([^/?#]*)@)?(\[[^\]/?#]*\]|[^[\]:/?#@]*)(?::(\d+))?\/?$/.exec(text) ??
    refuse("An ssh:// URL has a user, a host and a port, and nothing else.");
  return {
    host: withoutBrackets(host),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(login === undefined ? {} : { user: decode(login) }),
  };
}

function withoutBrackets(host: string): string {
  const [, address] = /^\[(.*)\]$/.exec(host) ?? [];
  return address !== undefined && isIPv6(address) ? address : host;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse(`${quoted(text)} is not a user name.`);
  }
}

/**
 * The account that runs this process; in a container it may have a number only.
 *
 * @throws {PluginError} `bad-options`
 */
export function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return refuse("This account has no name, so the destination must say who logs in.");
  }
}

/** A refused value as it was given, unless there may be a password in it. */
function quoted(value: unknown): string {
  if (typeof value === "string") return value.includes("@") ? "What was given" : JSON.stringify(value);
  return typeof value === "object" ? "An object" : String(value);
}

function refusePassword(): never {
  refuse("A password has no place in a destination.", "Give a `password` callback instead.");
}

function refuse(what: string, hint = USAGE): never {
  throw new PluginError("bad-options", what, { hint });
}
