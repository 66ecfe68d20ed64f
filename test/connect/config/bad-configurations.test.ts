import { existsSync, readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { KEYWORDS } from "../../../src/connect/config/keywords.ts";
import { resolveSettings } from "../../../src/connect/config/resolve-settings.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import type { PluginError } from "../../../src/contract/errors.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { rejectionOf } from "../failure-of.ts";
import { Scratch } from "../scratch.ts";

afterEach(() => vi.unstubAllEnvs());

/** How resolving `box` fails with a configuration; `DIR` in it is where it lies. */
async function failure(config: string, options: ConnectOptions = {}, mode?: number): Promise<PluginError> {
  await using scratch = await Scratch.make();
  const configFile = await scratch.put("config", config.replaceAll("DIR", scratch.directory));
  await scratch.put("loose", "Port 22\n", mode);
  return await rejectionOf(resolveSettings("box", { configFile, ...options }));
}

/** The two readers: the system's `ssh`, and our own where there is none. */
const READERS = [...(hasTier("openssh") ? ["ssh -G"] : []), "the small reader"];

describe.each(READERS)("by %s", (reader) => {
  const prepare = () => {
    if (reader === "the small reader") vi.stubEnv("PATH", "/nonexistent");
  };

  test.each<[what: string, config: string, says: RegExp]>([
    [
      "a loop of includes",
      "Include DIR/config\n",
      /Too many recursive configuration includes|config line 1: Include goes in circles/,
    ],
    ["a keyword that nobody knows", "\nPrto 22\n", /config:? line 2: .*prto/i],
    ["a port that is none", "Port 99999\n", /config line 1.*99999/],
    ["a value too many", "User ann bob\n", /config:? line 1/],
    ["no value", "User\n", /config:? line 1/],
    ["a quote that is not closed", 'User "ann\n', /config:? line 1/],
    ["a host that is none", "HostName bad/name\n", /leads to no box: .*"bad\/name" is not a host name/],
    ["a token that stands for nothing", "IdentityFile /keys/%q\n", /IdentityFile has "%q", which stands for nothing/],
    ["a variable that is not set", "IdentityFile $" + "{GPS_TEST_NOTHING}/a\n", /IdentityFile has .*GPS_TEST_NOTHING/],
    ["somebody else's home", "IdentityFile ~nobody/key\n", /another account's home/],
    ["a jump to itself", "HostName jump\nProxyJump jump\n", /jumphost loop via jump|to be reached through itself/],
    ["a jump to nowhere", "ProxyJump a@b:c\n", /config:? line 1/],
  ])("%s is refused, with file and line where there is one", async (_what, config, says) => {
    prepare();
    const refused = await failure(config);
    expect(refused.code).toBe("config-error");
    expect(refused.message).toMatch(says);
    expect(refused.hint).not.toBe("");
  });

  test("a file that was named and is not there is refused", async () => {
    prepare();
    const refused = await rejectionOf(resolveSettings("box", { configFile: "/nonexistent/config" }));
    expect(refused).toMatchObject({ code: "config-error", message: expect.stringContaining("/nonexistent/config") });
  });

  test("an included file that others can change is refused", async () => {
    prepare();
    const refused = await failure("Include DIR/loose\n", {}, 0o666);
    expect(refused).toMatchObject({ code: "config-error", message: expect.stringMatching(/loose/) });
  });
});

describe.skipIf(!hasTier("openssh"))("ssh -G", () => {
  test("refuses settings that are none as an option, not as a file", async () => {
    const refused = await failure("", { sshOptions: ["Prto=22"] });
    expect(refused).toMatchObject({ code: "bad-options", message: expect.stringMatching(/`sshOptions`: .*prto/i) });
  });

  test("is ended with what it runs when the caller gives up", async () => {
    await using scratch = await Scratch.make();
    const pidFile = scratch.path("pid");
    const configFile = await scratch.put("config", `Match exec "echo $$ >${pidFile}; exec sleep 600"\n  Port 2222\n`);
    const giveUp = new AbortController();
    const resolving = rejectionOf(resolveSettings("box", { configFile }, giveUp.signal));
    await eventually(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").endsWith("\n"), { what: "a pid" });
    giveUp.abort();
    expect(await resolving).toMatchObject({ code: "aborted" });
    const pid = Number(readFileSync(pidFile, "utf8"));
    const isOver = () => !existsSync(`/proc/${pid}`) || readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
    await eventually(isOver, { what: "the end of what Match exec runs" });
  });
});

describe("the small reader", () => {
  const subset = ["Host", "HostName", "User", "Port", "IdentityFile", "ProxyJump", "Include"];
  const others = KEYWORDS.map(({ name }) => name).filter((name) => !subset.includes(name));

  test("refuses every other keyword by name, with file and line, and says what helps", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    expect(others.length).toBeGreaterThan(90);
    for (const name of [...others, "SomethingNew"]) {
      const refused = await failure(`Host box\n  ${name} yes\n`);
      expect(refused).toMatchObject({
        code: "config-error",
        hint: expect.stringMatching(/Install OpenSSH.*configFile/s),
      });
      expect(refused.message).toMatch(new RegExp(`/config line 2: "${name}" cannot be read without OpenSSH's \`ssh\``));
    }
  });

  test("lets them be where they do not apply", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    await using scratch = await Scratch.make();
    const lines = others.filter((name) => name !== "Match").map((name) => `  ${name} yes\n`);
    const inner = await scratch.put("inner", "Compression yes\nMatch all\n  Ciphers x\n");
    const configFile = await scratch.put(
      "config",
      `Host other\n${lines.join("")}  Include ${inner}\nHost box\n  Port 2222\n`,
    );
    expect(await resolveSettings("box", { configFile })).toMatchObject({ target: { host: "box", port: 2222 } });
  });

  test("refuses settings that it does not know, and takes those that it does", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    expect((await failure("", { sshOptions: ["Compression=yes"] })).message).toMatch(
      /sshOptions line 1: "Compression"/,
    );
    const settings = await resolveSettings("box", { configFile: "none", sshOptions: ["Port=2222", "User ann"] });
    expect(settings.target).toEqual({ host: "box", port: 2222, user: "ann" });
  });

  test("finds nothing where there is nothing, and says nothing", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    await using scratch = await Scratch.make();
    const configFile = await scratch.put("config", `Include ${scratch.path("none")} ${scratch.path("*.conf")}\n`);
    const onNotice = vi.fn();
    const settings = await resolveSettings("ann@box", { configFile, onNotice });
    expect(settings).toMatchObject({ target: { host: "box", port: 22, user: "ann" }, needsOpenSsh: [] });
    expect(onNotice).not.toHaveBeenCalled();
  });
});

test("an `ssh` that is not OpenSSH's is not asked, because it would connect", async () => {
  await using scratch = await Scratch.make();
  await scratch.put(
    "ssh",
    `#!/bin/sh\ncase $1 in -V) echo 'Dropbear v2022.83' >&2 ;; *) >${scratch.path("connected")} ;; esac\n`,
    0o755,
  );
  vi.stubEnv("PATH", scratch.directory);
  const configFile = await scratch.put("config", "Host box\n  Port 2222\n");
  expect(await resolveSettings("box", { configFile })).toMatchObject({ target: { port: 2222 } });
  expect(existsSync(scratch.path("connected"))).toBe(false);
});
