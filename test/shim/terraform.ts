import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TERRAFORM } from "../tiers/tiers.ts";
import { type Ended, type Running, start } from "../tools/run-node.ts";

/** A provider's whole schema is 13 MB, and a busy machine takes a while to compute it. */
const TIMEOUT_MS = 3 * 60_000;

/** A provider, as Terraform calls it, and a configuration that makes use of it. */
export interface ProviderUse {
  /** `namespace/type` */
  source: string;
  configuration: string;
}

/** A configuration whose one data source needs no network and no account. */
export const AWS: ProviderUse = {
  source: "hashicorp/aws",
  configuration: `
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
}

data "aws_iam_policy_document" "read" {
  statement {
    sid       = "Read"
    actions   = ["s3:GetObject", "s3:ListBucket"]
    resources = ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["naïve/日本/*"]
    }
  }
}

output "policy" {
  value = data.aws_iam_policy_document.read.json
}
`,
};

/** A place to run Terraform in, with a home, a configuration and a state of its own. */
export class TerraformBench implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "gpt-"));
  readonly #environment: Readonly<Record<string, string>>;
  readonly #use: ProviderUse;

  /** @param environment what Terraform and the shim see, besides what keeps Terraform from the network */
  constructor(environment: Readonly<Record<string, string>>, use = AWS) {
    this.#environment = environment;
    this.#use = use;
  }

  /** Where a provider is to be put for {@link run}, by a name of one's own. */
  override(name: string): string {
    const directory = join(this.directory, name);
    mkdirSync(directory, { recursive: true });
    return join(directory, `terraform-provider-${this.#use.source.split("/").at(-1)}`);
  }

  /** The provider itself in such a place. */
  local(provider: string): void {
    symlinkSync(provider, this.override("local"));
  }

  /** Runs Terraform in a fresh working directory, with the provider of that place, or with none of them. */
  async run(place: string | undefined, words: readonly string[], more: Record<string, string> = {}): Promise<Timed> {
    const began = performance.now();
    const ended = await this.start(place, words, more).ended;
    return { ...ended, ms: Math.round(performance.now() - began) };
  }

  /** Starts it likewise, in a process group of its own. */
  start(place: string | undefined, words: readonly string[], more: Record<string, string> = {}): Running {
    const work = mkdtempSync(join(this.directory, "w"));
    const { source, configuration } = this.#use;
    writeFileSync(join(work, "main.tf"), configuration);
    const config = join(work, "terraformrc");
    const override = place === undefined ? "" : `dev_overrides { "${source}" = "${join(this.directory, place)}" }`;
    writeFileSync(config, `provider_installation {\n${override}\n}\n`);
    const env = {
      ...this.#environment,
      ...more,
      TF_CLI_CONFIG_FILE: config,
      CHECKPOINT_DISABLE: "1",
      TF_IN_AUTOMATION: "1",
    };
    const options = { env, cwd: work, timeoutMs: TIMEOUT_MS, apart: true };
    return start(TERRAFORM ?? "terraform", [...words, ...colour(words)], options);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** How it ended, and how long it took. */
export type Timed = Ended & { ms: number };

function colour([command]: readonly string[]): string[] {
  return command === "plan" || command === "apply" ? ["-no-color"] : [];
}
