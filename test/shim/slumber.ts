import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { buildSlumber } from "../plugins/go-plugins.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { childrenOf } from "../tools/children.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive } from "../tools/leaks.ts";
import { type Running, runNode } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { destination } from "./start-shim.ts";
import { TerraformBench } from "./terraform.ts";

/** What happens after something else on a machine that may be busy. */
export const SOON_MS = 30_000;

/** One resource of each of some configurations of the provider. */
export interface Naps {
  /** How long each takes. */
  seconds: number;
  /** How many configurations of the provider there are, each with a process of its own. @default 1 */
  providers?: number;
}

/** Terraform, a box, and the provider `slumber` on either side. Disposing it fails if something is left on one of them. */
export interface SlumberBench extends AsyncDisposable {
  readonly server: TestServer;
  readonly terraform: TerraformBench;
  /** Starts `terraform apply` with the provider here (`near`) or behind the shim (`far`). */
  apply(place: "near" | "far"): Running;
  /** Waits until each provider has begun its nap, and gives their pids on the box. */
  napping(): Promise<number[]>;
  /** The shims that run. */
  shims(terraformPid: number): number[];
}

/**
 * @param dist the build
 * @param naps what Terraform is to make
 */
export async function openSlumber(dist: string, { seconds, providers = 1 }: Naps): Promise<SlumberBench> {
  const server = await startOpenSsh(hasTier("login") ? { user: TEST_LOGIN } : {});
  const user = await openUserHome({ dist, server });
  const notes = join(user.directory, "notes");
  const files = Array.from({ length: providers }, (_, n) => `${notes}-${n}`);
  const terraform = new TerraformBench(user.env, {
    source: "go-plugin-ssh/slumber",
    configuration: hcl(files, seconds),
  });
  chmodSync(user.directory, 0o777);
  const provider = join(terraform.directory, "slumber");
  copyFileSync(await buildSlumber(), provider);
  chmodSync(terraform.directory, 0o755);
  copyFileSync(provider, terraform.override("near"));
  const shim = terraform.override("far");
  const install = [join(dist, "go-plugin-ssh.js"), "shim", "--install", shim, destination(server), "--", provider];
  expect(await runNode(install, { env: user.env })).toMatchObject({ code: 0, stderr: "" });
  const seen: number[] = [];
  const started: Running[] = [];
  return {
    server,
    terraform,
    apply: (place) => {
      // A plugin that is killed leaves its socket behind, if nobody looks after it.
      const more: Record<string, string> = place === "near" ? { TMPDIR: terraform.directory } : {};
      const running = terraform.start(place, ["apply", "-input=false", "-auto-approve"], more);
      started.push(running);
      return running;
    },
    napping: () => {
      const pids = () => {
        if (!files.every((file) => existsSync(file))) return undefined;
        const found = files.map((file) => Number(/^began (\d+)\n$/.exec(readFileSync(file, "utf8"))?.[1] ?? 0));
        if (found.includes(0)) return undefined;
        seen.push(...found);
        return found;
      };
      return eventually(pids, { what: "the providers to nap", timeoutMs: 2 * SOON_MS });
    },
    shims: (pid) => childrenOf(pid),
    [Symbol.asyncDispose]: async () => {
      try {
        for (const { child, ended } of started) {
          if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid ?? 0), "SIGKILL");
          await ended;
        }
        await eventually(() => !seen.some(isAlive), { what: "the providers to end", timeoutMs: SOON_MS });
        // Terraform kills a shim that is not quick enough; what that had to leave goes with the next start of one.
        if (readdirSync(user.tmp).length > 0) await terraform.run("far", ["providers", "schema", "-json"]);
        await server.stop();
        user[Symbol.dispose]();
      } finally {
        terraform[Symbol.dispose]();
        await server.stop({ leftovers: "end" });
      }
    },
  };
}

function hcl(files: readonly string[], seconds: number): string {
  const each = files.map(
    (file, n) => `
provider "slumber" {
  alias = "p${n}"
  name  = "provider ${n}"
}

resource "slumber_nap" "n${n}" {
  provider = slumber.p${n}
  seconds  = ${seconds}
  file     = ${JSON.stringify(file)}
}

output "by${n}" {
  value = slumber_nap.n${n}.by
}
`,
  );
  return `terraform {
  required_providers {
    slumber = { source = "go-plugin-ssh/slumber" }
  }
}
${each.join("")}`;
}
