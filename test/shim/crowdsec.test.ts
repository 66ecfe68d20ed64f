import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { prepareCrowdSec } from "../hosts/crowdsec.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { CROWDSEC, hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive, signalFound } from "../tools/leaks.ts";
import { runNode } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { destination } from "./start-shim.ts";

const ADDRESS = "203.0.113.7";
const REASON = "naïve 日本";
/** crowdsec looks at what it has to tell once a second. */
const PATIENCE_MS = 30_000;

describe.skipIf(!hasTier("crowdsec") || !hasTier("openssh"))("crowdsec, unchanged, tells its plugin of a ban", () => {
  test.each(["here", "on a box, behind the shim"])("%s", { timeout: 120_000 }, async (where) => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built(), server });
    const plugin = join(user.directory, "dummy");
    copyFileSync(CROWDSEC?.plugin ?? "", plugin);
    chmodSync(plugin, 0o755);
    const notified = join(user.directory, "notified");
    const files = await prepareCrowdSec(join(user.directory, "c"), notified);
    const place = join(files.pluginDirectory, "notification-dummy");
    if (where === "here") copyFileSync(plugin, place);
    else await install(place, [destination(server), "--", plugin], user.env);
    // By itself crowdsec leaves its plugins' sockets behind.
    const env = where === "here" ? { ...user.env, TMPDIR: user.directory } : user.env;
    let plugins: number[] = [];
    {
      await using crowdsec = await files.start(env);
      plugins = crowdsec.children();
      expect(plugins).toHaveLength(1);
      await crowdsec.ban(ADDRESS, REASON);
      const written = () => readFileSync(notified, "utf8") || undefined;
      const told = await eventually(written, {
        what: "the plugin to be told",
        timeoutMs: PATIENCE_MS,
        state: () => crowdsec.output,
      });
      expect(told).toBe(`${REASON} ${ADDRESS}\n`);
      // What the plugin logs reaches crowdsec's own log, at its own level.
      await eventually(() => /level=info msg="received signal for to_a_file config"/.test(crowdsec.output), {
        what: "what the plugin logs",
        timeoutMs: PATIENCE_MS,
        state: () => crowdsec.output,
      });
      expect(crowdsec.output).not.toMatch(/level=(error|fatal)/);
    }
    // crowdsec leaves its plugins to themselves. One that runs here lives on; the shim sees that its host is gone.
    if (where === "here") for (const pid of plugins) signalFound(pid);
    await eventually(() => !plugins.some(isAlive), { what: "the plugin to end", timeoutMs: PATIENCE_MS });
    await eventually(() => readdirSync(user.tmp).length === 0, { what: "the shim to end", timeoutMs: PATIENCE_MS });
    const logins = (await server.log()).match(/Accepted publickey for/g)?.length ?? 0;
    expect(logins).toBe(where === "here" ? 0 : 1);
  });
});

async function install(place: string, words: readonly string[], env: Record<string, string>): Promise<void> {
  mkdirSync(join(place, ".."), { recursive: true });
  const cli = join(built(), "go-plugin-ssh.js");
  expect(await runNode([cli, "shim", "--install", place, ...words], { env })).toMatchObject({ code: 0, stderr: "" });
}
