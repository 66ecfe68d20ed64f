import { X509Certificate } from "node:crypto";
import { PluginError } from "../contract/errors.ts";
import { buildEnvironment, checkPatterns } from "../exec/environment.ts";
import type { Cookie, Environment } from "./cookie.ts";

/** What the host tells every plugin and what means the same on the box. The socket's directory and group do not. */
const CONTRACT = ["PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_MULTIPLEX_GRPC"] as const;

/** What of the host's contract travels to the plugin. */
export interface HostContract {
  readonly cookie: Cookie;
  /** The host's certificate in PEM, if it asked for AutoMTLS. */
  readonly certificatePem: string | undefined;
  /** Whether it asked for a multiplexed broker. */
  readonly multiplex: boolean;
  /** All that the plugin is told, the certificate included. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Reads what the host has told us in the plugin's place, and what else of the host's environment a pattern names.
 *
 * @throws {PluginError} `config-error` for a certificate that cannot be read; `bad-options` for a pattern that is none
 */
export function readContract(environment: Environment, cookie: Cookie, patterns: readonly string[]): HostContract {
  checkPatterns(patterns);
  const certificatePem = environment.PLUGIN_CLIENT_CERT || undefined;
  if (certificatePem !== undefined) checkCertificate(certificatePem);
  const told = Object.fromEntries(
    CONTRACT.map((name) => [name, environment[name]] as const).filter((entry): entry is [(typeof entry)[0], string] => {
      return entry[1] !== undefined;
    }),
  );
  return {
    cookie,
    certificatePem,
    multiplex: Boolean(environment.PLUGIN_MULTIPLEX_GRPC),
    variables: buildEnvironment({
      environment: {
        [cookie.name]: cookie.value,
        ...told,
        ...(certificatePem === undefined ? {} : { PLUGIN_CLIENT_CERT: certificatePem }),
      },
      forwardEnvironment: patterns,
      hostEnvironment: environment,
    }),
  };
}

/** A plugin that cannot read it would serve, and refuse every connection without a word that reaches anybody. */
function checkCertificate(pem: string): void {
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new PluginError("config-error", "PLUGIN_CLIENT_CERT, which the host has set, holds no certificate.", {
      cause,
      hint: "If the host did not mean to set it, it inherited the variable from a host above it: unset it there.",
    });
  }
}
