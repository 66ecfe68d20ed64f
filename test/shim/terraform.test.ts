import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { findProvider } from "../tools/find-provider.ts";
import { type Running, runNode, startNode } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { TerraformBench, type Timed } from "./terraform.ts";

/** Real programs on a machine that may be busy. */
const LIMIT_MS = 10 * 60_000;

const SCHEMA = ["providers", "schema", "-json"];
const PLAN = ["plan", "-input=false"];
const APPLY = ["apply", "-input=false", "-auto-approve"];

const provider = findProvider("aws") ?? "";

describe.skipIf(!hasTier("terraform") || provider === "")(
  "Terraform, unchanged, with a provider on a box, under another login",
  () => {
    test("through the shim: the same schema, plan and apply as here", { timeout: LIMIT_MS }, async () => {
      await using bench = await open();
      const { terraform, server, user } = bench;
      const shim = terraform.override("far");
      const words = ["shim", "--install", shim, bench.box, "--", provider];
      expect(await runNode([CLI(), ...words], { env: user.env })).toMatchObject({ code: 0, stderr: "" });
      for (const command of [SCHEMA, PLAN, APPLY]) {
        const [near, far] = [await terraform.run("local", command), await terraform.run("far", command)];
        expectSame(far, near);
        tell(command, far, near);
      }
      // Terraform kills a shim that is not quick enough; what that had to leave goes with the next start of one.
      if (readdirSync(user.tmp).length > 0) await terraform.run("far", SCHEMA);
      expect((await server.log()).match(/Accepted publickey for/g)?.length).toBeGreaterThan(3);
      expect(await runNode([CLI(), "shim", "--uninstall", shim], { env: user.env })).toMatchObject({
        code: 0,
        stderr: "",
      });
    });

    test("through reattach: three runs on one process", { timeout: LIMIT_MS }, async () => {
      await using bench = await open();
      const { terraform, server, user } = bench;
      const words = ["reattach", bench.box, "--provider", "hashicorp/aws", "--", provider];
      const reattach = startNode([CLI(), ...words], { env: user.env, timeoutMs: LIMIT_MS });
      const TF_REATTACH_PROVIDERS = await printed(reattach);
      for (const command of [SCHEMA, PLAN, APPLY]) {
        const near = await terraform.run("local", command);
        const far = await terraform.run(undefined, command, { TF_REATTACH_PROVIDERS });
        expectSame(far, near);
        tell(command, far, near);
      }
      expect((await server.log()).match(/Accepted publickey for/g)).toHaveLength(1);
      reattach.child.kill("SIGINT");
      expect(await reattach.ended).toMatchObject({ code: 0 });
    });
  },
);

/** A box, somebody who can log in to it, and Terraform. */
async function open() {
  const server = await startOpenSsh(hasTier("login") ? { user: TEST_LOGIN } : {});
  const user = await openUserHome({ dist: built(), server });
  const terraform = new TerraformBench(user.env);
  terraform.local(provider);
  return {
    server,
    user,
    terraform,
    box: `ssh://${server.user}@${server.host}:${server.port}`,
    [Symbol.asyncDispose]: async () => {
      terraform[Symbol.dispose]();
      await server.stop();
      user[Symbol.dispose]();
    },
  };
}

const CLI = () => join(built(), "go-plugin-ssh.js");

/** What `reattach` prints to be pasted into a shell. */
async function printed(reattach: Running): Promise<string> {
  let text = "";
  reattach.child.stdout?.on("data", (chunk: string) => {
    text += chunk;
  });
  await reattach.said("serves; Ctrl-C ends it.");
  // Two pipes: what was written first may come later.
  await reattach.said("export TF_REATTACH_PROVIDERS=");
  const [, value = ""] = /^export TF_REATTACH_PROVIDERS='(.*)'$/m.exec(text) ?? [];
  expect(text.split("\n")[0]).toBe(value);
  const { "hashicorp/aws": config } = JSON.parse(value);
  expect(config).toMatchObject({ Protocol: "grpc", ProtocolVersion: 5, Pid: reattach.child.pid, Test: true });
  return value;
}

/** The same to the byte, apart from how long it took, and from the warning about overrides, which is missing for reattaching. */
function expectSame(far: Timed, near: Timed): void {
  expect(near.code, near.stderr).toBe(0);
  expect(far.code, far.stderr).toBe(0);
  const [told, expected] = [far, near].map(({ stdout }) => withoutWarning(stdout));
  expect(expected).toMatch(/aws_iam_policy_document/);
  // Not by toEqual: it would print megabytes.
  if (told !== expected) expect(told?.slice(0, 5000)).toBe(expected?.slice(0, 5000));
  expect(told === expected).toBe(true);
}

function withoutWarning(text: string): string {
  return text
    .replace(/\n?Warning: Provider development overrides[\s\S]*?\nreleases\.\n/, "")
    .replace(/ after \d+s/, " after a while");
}

function tell([command]: readonly string[], far: Timed, near: Timed): void {
  console.log(`${command}: ${far.ms} ms, ${near.ms} ms locally: ×${(far.ms / near.ms).toFixed(2)}`);
}
