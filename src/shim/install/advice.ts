import { basename, dirname } from "node:path";

/** Where each kind of host wants to find its plugin, in lines for people. */
export function advice(path: string, sha256: string): string {
  const name = basename(path);
  const provider = /^terraform-provider-([^_.]+)/.exec(name)?.[1];
  const ruleset = /^tflint-ruleset-(.+)$/.exec(name)?.[1];
  if (provider !== undefined) return terraform(dirname(path), provider);
  if (ruleset !== undefined) return tflint(path, ruleset);
  return [vault(path, sha256), nomad(path), tflint(path, undefined), others()].join("\n");
}

function terraform(directory: string, type: string): string {
  return `Terraform and OpenTofu: put this into ~/.terraformrc or ~/.tofurc (or the file that TF_CLI_CONFIG_FILE names),
with the provider's own namespace in place of "hashicorp". No \`init\` is needed for it, and lock files are not asked.

  provider_installation {
    dev_overrides {
      ${JSON.stringify(`hashicorp/${type}`)} = ${JSON.stringify(directory)}
    }
    direct {}
  }
`;
}

function vault(path: string, sha256: string): string {
  return `Vault: the file must be in Vault's plugin_directory; it is registered by its checksum, again after each --install.

  vault plugin register -sha256=${sha256} -command=${basename(path)} secret <name>

Install it with \`--forward-env-set vault\`.
`;
}

function nomad(path: string): string {
  return `Nomad: the file must be in the agent's plugin_dir, named as the driver's plugin block.

  plugin ${JSON.stringify(basename(path))} {}
`;
}

function tflint(path: string, ruleset: string | undefined): string {
  const name = ruleset ?? "<name>";
  const move = ruleset === undefined ? `, as tflint-ruleset-${name}` : "";
  return `tflint: the file must be in ~/.tflint.d/plugins${move} (${dirname(path)} is taken if TFLINT_PLUGIN_DIR names it).

  plugin ${JSON.stringify(name)} {
    enabled = true
  }
`;
}

function others(): string {
  return `Terraform and OpenTofu find a provider under the name terraform-provider-<type> only: install it under that name.
`;
}
