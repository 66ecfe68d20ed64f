import { join } from "node:path";
import { expect, test } from "vitest";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { findProvider } from "../tools/find-provider.ts";
import { runNode } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { TerraformBench } from "./terraform.ts";

const LIMIT_MS = 10 * 60_000;

const provider = findProvider() ?? "";

test.skipIf(!hasTier("terraform"))(
  "Terraform, unchanged, with a provider behind the shim",
  { timeout: LIMIT_MS },
  async () => {
    await using server = await startOpenSsh(hasTier("login") ? { user: TEST_LOGIN } : {});
    using user = await openUserHome({ dist: built(), server });
    using terraform = new TerraformBench(user.env);
    terraform.local(provider);
    const shim = terraform.override("far");
    const box = `ssh://${server.user}@${server.host}:${server.port}`;
    const cli = join(built(), "go-plugin-ssh.js");
    const installed = await runNode([cli, "shim", "--install", shim, box, "--", provider], { env: user.env });
    expect(installed).toMatchObject({ code: 0, stderr: "" });

    const schema = ["providers", "schema", "-json"];
    const near = await terraform.run("local", schema);
    const far = await terraform.run("far", schema, { TF_LOG: process.env.SHIM_LOG ?? "" });
    expect(near).toMatchObject({ code: 0 });
    expect(far.code, far.stderr).toBe(0);
    expect(far.stdout.length).toBeGreaterThan(1_000_000);
    expect(far.stdout === near.stdout).toBe(true);
    console.log(
      `schema of ${far.stdout.length} bytes: ${far.ms} ms, ${near.ms} ms locally (×${(far.ms / near.ms).toFixed(2)})`,
    );
  },
);
