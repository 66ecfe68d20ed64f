/** What is known of a program that starts plugins. */
export interface HostProgram {
  readonly name: string;
  /** The names of its cookies. */
  readonly cookies: readonly string[];
  /** It uses no broker, so its bytes can pass as they are. */
  readonly brokerless: boolean;
  /** It comes back to its plugins after a restart, so they must outlive it. */
  readonly reattaches: boolean;
  /** The first cookie's value and the versions that it offers, where a plugin can be started in its place by hand. */
  readonly handshake?: { readonly value: string; readonly versions: readonly number[] };
}

/** Hosts whose cookies are known, for where the environment's order does not tell which variable is the cookie. */
export const HOST_PROGRAMS: readonly HostProgram[] = [
  host("terraform", ["TF_PLUGIN_MAGIC_COOKIE"], {
    brokerless: true,
    handshake: { value: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2", versions: [5, 6] },
  }),
  host("nomad", ["NOMAD_PLUGIN_MAGIC_COOKIE"], {
    brokerless: true,
    reattaches: true,
    handshake: { value: "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255", versions: [1] },
  }),
  host("vault", ["VAULT_BACKEND_PLUGIN", "VAULT_DATABASE_PLUGIN"], {
    handshake: { value: "6669da05-b1c8-4f49-97d9-c8e5bed98e20", versions: [3, 4, 5] },
  }),
  host("tflint", ["TFLINT_RULESET_PLUGIN"]),
  host("crowdsec", ["CROWDSEC_PLUGIN_KEY"]),
];

/** The host that a cookie belongs to. OpenTofu has Terraform's. */
export function hostOfCookie(name: string): HostProgram | undefined {
  return HOST_PROGRAMS.find(({ cookies }) => cookies.includes(name));
}

function host(name: string, cookies: readonly string[], more: Partial<HostProgram> = {}): HostProgram {
  return { name, cookies, brokerless: false, reattaches: false, ...more };
}
