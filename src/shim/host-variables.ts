import { PluginError } from "../contract/errors.ts";
import { buildEnvironment, checkPatterns } from "../exec/environment.ts";
import { pluginEnvironment } from "../handshake/environment.ts";
import type { Cookie } from "./cookie.ts";
import { HOST_PROGRAMS } from "./host-programs.ts";

/** What a plugin is told that no host has started, but a person. */
export interface HostWords {
  cookie: Cookie;
  versions: readonly number[];
  /** A certificate in PEM whose owner alone may connect; without it the plugin serves without TLS. */
  certificatePem?: string | undefined;
  /** Patterns of names of our own environment that travel too. */
  forwardEnv: readonly string[];
}

/** The variables that a host would set. @throws {PluginError} `bad-options` */
export function hostVariables({ cookie, versions, certificatePem, forwardEnv }: HostWords): Record<string, string> {
  checkPatterns(forwardEnv);
  const environment = pluginEnvironment({
    magicCookieKey: cookie.name,
    magicCookieValue: cookie.value,
    protocolVersions: versions,
    clientCertificatePem: certificatePem,
  });
  return buildEnvironment({ environment, forwardEnvironment: forwardEnv, hostEnvironment: process.env });
}

/** Names of hosts that a plugin can be started for by hand. */
export const KNOWN_HOSTS: readonly string[] = HOST_PROGRAMS.filter(({ handshake }) => handshake).map(
  ({ name }) => name,
);

/** What such a host says to its plugins. @throws {PluginError} `bad-options` for a name that is not known */
export function wordsOf(name: string): Pick<HostWords, "cookie" | "versions"> {
  const { cookies, handshake } = HOST_PROGRAMS.find((host) => host.name === name) ?? {};
  const [cookie] = cookies ?? [];
  if (cookie !== undefined && handshake) {
    return { cookie: { name: cookie, value: handshake.value }, versions: handshake.versions };
  }
  throw new PluginError("bad-options", `The cookie of ${JSON.stringify(name)} is not known.`, {
    hint: `Known are ${KNOWN_HOSTS.join(", ")}; for others, give --cookie NAME=VALUE.`,
  });
}
