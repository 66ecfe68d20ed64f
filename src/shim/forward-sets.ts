/**
 * Names that belong together, for `--forward-env-set`. Nothing of a host's environment travels by itself, because a box
 * may be in other hands; those sets that hold secrets say so.
 */
export const FORWARD_SETS: Readonly<Record<string, { readonly what: string; readonly patterns: readonly string[] }>> = {
  terraform: {
    what: "what Terraform and OpenTofu tell providers: log levels and the like",
    patterns: ["TF_LOG", "TF_LOG_*", "TF_APPEND_USER_AGENT", "TF_IN_AUTOMATION"],
  },
  vault: {
    what: "what Vault tells its plugins: their mode, and a token for one use",
    patterns: ["VAULT_PLUGIN_*", "VAULT_UNWRAP_TOKEN", "VAULT_VERSION", "VAULT_BACKEND_*"],
  },
  nomad: { what: "what Nomad tells its plugins", patterns: ["NOMAD_PLUGIN_*"] },
  aws: { what: "credentials and settings for AWS", patterns: ["AWS_*"] },
  azure: { what: "credentials and settings for Azure", patterns: ["ARM_*", "AZURE_*"] },
  google: { what: "credentials and settings for Google Cloud", patterns: ["GOOGLE_*", "GCLOUD_*", "CLOUDSDK_*"] },
  proxy: {
    what: "how to reach the web, with a proxy's password if it has one",
    patterns: ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"],
  },
};
