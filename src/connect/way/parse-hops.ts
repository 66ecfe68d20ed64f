import { PluginError } from "../../contract/errors.ts";
import { type DestinationParts, readDestination } from "../destination.ts";
import type { Settings } from "../settings.ts";
import { expandProxyTokens } from "./expand-proxy-tokens.ts";

const HOP = /^(?:(?<uri>ssh:\/\/))?(?:(?<user>.+)@)?(?<host>\[[^\]]*\]|[^:@[\]]+)(?::(?<port>\d+))?$/;

/**
 * Reads a list of jump hosts, nearest first: `user@host:port` or `ssh://user@host:port` each, joined by commas. What a
 * hop leaves out is left out here too, for its own configuration to fill in.
 *
 * @throws {PluginError} `config-error` for what is no such list
 */
export function parseHops(text: string): DestinationParts[] {
  return text.split(",").map((hop) => {
    const { uri, user, host = "", port } = HOP.exec(hop.replace(/^(ssh:.*)\/$/, "$1"))?.groups ?? refuse(text);
    try {
      const parts = {
        host: host.replace(/^\[(.*)\]$/, "$1"),
        ...(user === undefined ? {} : { user: uri ? decodeURIComponent(user) : user }),
        ...(port === undefined ? {} : { port: Number(port) }),
      };
      return readDestination(parts);
    } catch (cause) {
      return refuse(text, cause);
    }
  });
}

/** Hops as {@link parseHops} reads them. */
export function listHops(hops: readonly DestinationParts[]): string {
  return hops
    .map(({ host, port, user }) => {
      const login = user === undefined ? "" : `${user}@`;
      return `${login}${host.includes(":") ? `[${host}]` : host}${port === undefined ? "" : `:${port}`}`;
    })
    .join(",");
}

/**
 * The jump hosts that settings name, nearest first; none if there are none.
 *
 * @throws {PluginError} `config-error`
 */
export function hopsOf({ alias, target, options: { proxyJump } }: Settings): DestinationParts[] {
  return isGiven(proxyJump) ? parseHops(expandProxyTokens("proxyJump", proxyJump, { ...target, alias })) : [];
}

/** Whether there is one. `none` is what a configuration has to say so. */
export function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "" && text.toLowerCase() !== "none";
}

/** A list is not repeated where it may hold a password. */
function refuse(text: string, cause?: unknown): never {
  const shown = /:[^,]*@/.test(text.replaceAll("ssh://", "")) ? "no such list" : `${JSON.stringify(text)}`;
  throw new PluginError("config-error", `\`proxyJump\` cannot be ${shown}.`, {
    cause,
    hint: "Give jump hosts as user@host:port, nearest first, joined by commas; or none.",
  });
}
