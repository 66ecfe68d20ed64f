/** What is known of a program that starts plugins. */
export interface HostProgram {
  readonly name: string;
  /** The names of its cookies. */
  readonly cookies: readonly string[];
  /** It uses no broker, so its bytes can pass as they are. */
  readonly brokerless: boolean;
  /** It comes back to its plugins after a restart, so they must outlive it. */
  readonly reattaches: boolean;
}

/** Hosts whose cookies are known, for where the environment's order does not tell which variable is the cookie. */
export const HOST_PROGRAMS: readonly HostProgram[] = [
  host("Terraform", ["TF_PLUGIN_MAGIC_COOKIE"], { brokerless: true }),
  host("Nomad", ["NOMAD_PLUGIN_MAGIC_COOKIE"], { brokerless: true, reattaches: true }),
  host("Vault", ["VAULT_BACKEND_PLUGIN", "VAULT_DATABASE_PLUGIN"]),
  host("tflint", ["TFLINT_RULESET_PLUGIN"]),
  host("crowdsec", ["CROWDSEC_PLUGIN_KEY"]),
];

/** The host that a cookie belongs to. OpenTofu has Terraform's. */
export function hostOfCookie(name: string): HostProgram | undefined {
  return HOST_PROGRAMS.find(({ cookies }) => cookies.includes(name));
}

function host(
  name: string,
  cookies: readonly string[],
  { brokerless = false, reattaches = false }: { brokerless?: boolean; reattaches?: boolean } = {},
): HostProgram {
  return { name, cookies, brokerless, reattaches };
}
