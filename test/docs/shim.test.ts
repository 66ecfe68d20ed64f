import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareCrowdSec } from "../hosts/crowdsec.ts";
import { buildHost, buildKv, hasGo } from "../plugins/go-plugins.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { AWS } from "../shim/terraform.ts";
import { CROWDSEC, has, hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { findProvider } from "../tools/find-provider.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { start } from "../tools/run-node.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { blocksOf } from "./markdown.ts";

const LIMIT_MS = 10 * 60_000;
/** What happens after something else on a machine that may be busy. */
const PATIENCE_MS = 30_000;
const PAGE = readFileSync(fileURLToPath(new URL("../../docs/shim.md", import.meta.url)), "utf8");

let server: TestServer;
let user: UserHome;
let bin = "";
let work = "";

/** Somebody for whom `build-7` is a box, as the page has it, and `go-plugin-ssh` a command. */
beforeAll(async () => {
  server = hasTier("login") ? await startOpenSsh({ user: TEST_LOGIN }) : await startEmbedded();
  user = await openUserHome({ dist: built(), server });
  chmodSync(user.directory, 0o755);
  const config = `Host build-7\n  HostName ${server.host}\n  Port ${server.port}\n  User ${server.user}\n`;
  writeFileSync(join(user.home, ".ssh/config"), config, { mode: 0o600 });
  bin = join(user.directory, "bin");
  work = join(user.directory, "work");
  for (const directory of [work, join(user.directory, "h")]) mkdirSync(directory);
  symlinkSync(join(built(), "go-plugin-ssh.js"), join(bin, "go-plugin-ssh"));
});

afterAll(async () => {
  await server.stop();
  user[Symbol.dispose]();
});

/** The blocks of a section, in order. */
function section(heading: string) {
  const [, text = ""] = PAGE.split(`\n## ${heading}\n`);
  return blocksOf(text.split("\n## ")[0] ?? "");
}

async function shell(line: string): Promise<string> {
  const env = {
    ...user.env,
    CHECKPOINT_DISABLE: "1",
    TMPDIR: join(user.directory, "h"),
  };
  const ended = await start("/bin/sh", ["-ec", line], { env, cwd: work, timeoutMs: LIMIT_MS }).ended;
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
  return ended.stdout;
}

describe("docs/shim.md", () => {
  test.skipIf(!has("terraform") || !findProvider("aws"))(
    "Terraform's steps work as they stand",
    { timeout: LIMIT_MS },
    async () => {
      const [install, config, plan] = section("Terraform and OpenTofu");
      const provider = findProvider("aws") ?? "";
      const printed = await shell(install?.text.replace("/opt/terraform-provider-aws", provider) ?? "");
      // What the page shows is what the command has printed.
      const told = config?.text.replace("/home/you/tf", join(user.home, "tf")) ?? "";
      expect(printed.replace(/^ {2}/gm, "")).toContain(told.trim());
      writeFileSync(join(user.home, ".terraformrc"), told);
      writeFileSync(join(work, "main.tf"), AWS.configuration);
      expect(await shell(plan?.text ?? "")).toMatch(/data\.aws_iam_policy_document\.read: Read complete/);
    },
  );

  test.skipIf(!hasGo())(
    "the steps for a host built on go-plugin work as they stand",
    { timeout: LIMIT_MS },
    async () => {
      const [block] = section("A host built on go-plugin");
      symlinkSync(await buildHost("kvhost"), join(bin, "kvhost"));
      const plugin = join(user.directory, "kv");
      cpSync(await buildKv(), plugin);
      const printed = await shell(block?.text.replace("/opt/kv", plugin) ?? "");
      expect(printed).toMatch(/^key 19: 361$/m);
      expect(printed).toMatch(/^exited: true$/m);
    },
  );

  test.skipIf(!hasTier("crowdsec"))("crowdsec's steps work as they stand", { timeout: LIMIT_MS }, async () => {
    const [block] = section("crowdsec");
    const shared = join(user.directory, "shared");
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    const [plugin, notified] = [join(shared, "dummy"), join(shared, "notified")];
    cpSync(CROWDSEC?.plugin ?? "", plugin);
    const files = await prepareCrowdSec(join(user.directory, "c"), notified);
    const steps = block?.text.replace("/usr/lib/crowdsec/plugins/dummy", plugin) ?? "";
    await shell(steps.replace("/usr/lib/crowdsec/plugins", files.pluginDirectory));
    let shims: number[] = [];
    {
      await using crowdsec = await files.start({ ...user.env, TMPDIR: join(user.directory, "h") });
      shims = crowdsec.children();
      await crowdsec.ban("203.0.113.7", "by hand");
      const written = () => existsSync(notified) && readFileSync(notified, "utf8");
      const patience = { what: "the plugin to be told", timeoutMs: PATIENCE_MS, state: () => crowdsec.output };
      expect(await eventually(() => written() || undefined, patience)).toBe("by hand 203.0.113.7\n");
    }
    // crowdsec leaves its plugins to themselves; the shim sees that its host is gone.
    await eventually(() => !shims.some(isAlive), { what: "the shim to end", timeoutMs: PATIENCE_MS });
  });
});
