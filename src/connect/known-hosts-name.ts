import { PluginError } from "../contract/errors.ts";
import { lowerCase } from "./host-pattern.ts";

/** A host as it is dialled, and the name its keys are filed under if that is another. */
export interface NamedHost {
  /** An IPv6 address is written without brackets. */
  host: string;
  port: number;
  /** Look this name up instead, without any port. Same as OpenSSH's `HostKeyAlias`. */
  hostKeyAlias?: string | undefined;
}

/**
 * The name under which OpenSSH files a host's keys: the alias, or `host` for port 22, or `[host]:port`; in lower case.
 *
 * @throws {PluginError} `bad-options` for a name with a blank, a comma or a wildcard, which would mean other hosts when
 *   it is written down
 */
export function knownHostsName({ host, port, hostKeyAlias }: NamedHost): string {
  const name = hostKeyAlias ?? host;
  if (!/^[^\s,*?\u0000-\u001f\u007f]+$/.test(name) || /^[-!#@|]/.test(name)) {
    const option = hostKeyAlias === undefined ? "host" : "hostKeyAlias";
    throw new PluginError("bad-options", `\`${option}\` must be the name of one host, not ${JSON.stringify(name)}.`);
  }
  return lowerCase(hostKeyAlias ?? (port === 22 ? host : `[${host}]:${port}`));
}
