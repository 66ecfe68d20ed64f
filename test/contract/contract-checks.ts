import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PluginError } from "../../src/contract/errors.ts";
import type { SecureConfig } from "../../src/contract/secure-config.ts";
import type { Bench, RunnerKind } from "./runner-kinds.ts";
import { failureOf, Said } from "./said.ts";

/** The account that the plugins of a bench run under. */
function login(bench: Bench): string {
  return bench.server?.user ?? execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
}

/** What a runner sees to before it starts a plugin, and what it shares with whom. */
export function checkContract(kind: RunnerKind): void {
  describe("a checksum", () => {
    /** What the file must be in order to be the one that is there. */
    const checksumOf = (path: string): SecureConfig => ({
      checksum: createHash("sha256").update(readFileSync(path)).digest(),
      hash: "sha256",
    });
    const wrong: SecureConfig = { checksum: new Uint8Array(64).fill(7), hash: "sha512" };

    test("that is right lets the plugin start, however it was asked for", async () => {
      await using bench = await kind.open();
      const command = bench.command("stays.sh");
      const secureConfig = checksumOf(command[0]);
      await using byOption = bench.runner({ command, secureConfig });
      await using byCall = bench.runner({ command });
      byCall.requireChecksum?.(secureConfig);
      byOption.requireChecksum?.({ ...secureConfig });
      // What was asked for stays asked for.
      secureConfig.checksum.fill(0);
      for (const runner of [byOption, byCall]) {
        await runner.start();
        await new Said(runner.stdout).until(/^\d+\n/);
      }
      expect(await failureOf(asked(() => byCall.requireChecksum?.(wrong)))).toMatchObject({ code: "closed" });
    });

    test("that is wrong keeps it from starting, and nothing is left", async () => {
      await using bench = await kind.open();
      const mark = join(bench.boxTmp, "started");
      const program = join(bench.directory, "notes");
      writeFileSync(program, `#!/bin/sh\n: >${mark}\n`, { mode: 0o755 });
      const runner = bench.runner({ command: [program] });
      runner.requireChecksum?.(wrong);
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      const failure: PluginError = await failureOf(runner.start());
      expect(failure.code, failure.message).toBe("checksum-mismatch");
      expect(failure.message).toContain("checksums did not match");
      expect(failure.message).toContain(createHash("sha512").update(readFileSync(program)).digest("hex"));
      expect(await failureOf(runner.wait())).toBe(failure);
      expect([await stdout.all, await stderr.all]).toEqual(["", ""]);
      expect(() => statSync(mark)).toThrow("ENOENT");
      expect(runner.process).toBeUndefined();
      await runner.kill();
    });

    test("of a file that cannot be read cannot be made", async ({ skip }) => {
      await using bench = await kind.open();
      if (login(bench) === "root") skip();
      const program = join(bench.directory, "secret");
      writeFileSync(program, "#!/bin/sh\n", { mode: 0o111 });
      const runner = bench.runner({ command: [program], secureConfig: wrong });
      const failure = await failureOf(runner.start());
      expect(failure).toMatchObject({ code: "plugin-not-started", hint: expect.stringContaining("chmod +r") });
      expect(failure.message).toContain("error verifying checksum: ");
      await runner.kill();
    });

    test("is asked for once", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh"), secureConfig: wrong });
      const other = { checksum: new Uint8Array(32), hash: "sha256" } as const;
      expect(await failureOf(asked(() => runner.requireChecksum?.(other)))).toMatchObject({ code: "bad-options" });
      await runner.kill();
      expect(await failureOf(asked(() => runner.requireChecksum?.(wrong)))).toMatchObject({ code: "closed" });
    });
  });

  describe("a group for the sockets", () => {
    test.each(["option", "variable"])("has the private directory, given as an %s", async (how) => {
      await using bench = await kind.open();
      const { group, gid } = await groupOf(bench);
      await using runner = bench.runner({
        command: ["/bin/sh", "-c", 'echo "$PLUGIN_UNIX_SOCKET_DIR|$PLUGIN_UNIX_SOCKET_GROUP"; sleep 5000'],
        ...(how === "option" ? { unixSocketGroup: group } : { environment: { PLUGIN_UNIX_SOCKET_GROUP: group } }),
      });
      await runner.start();
      const [, directory = "", told] = await new Said(runner.stdout).until(/^(.*)\|(.*)\n/);
      expect(told).toBe(group);
      const { mode, gid: owner } = statSync(directory);
      expect([(mode & 0o7777).toString(8), owner]).toEqual(["770", gid]);
    });

    test("keeps the plugin from starting if the login may not give it away, or nobody knows it", async () => {
      await using bench = await kind.open();
      const command = bench.command("stays.sh");
      const unknown = await failureOf(bench.runner({ command, unixSocketGroup: "gps-nobody-knows" }).start());
      expect(unknown.code).toBe("plugin-not-started");
      expect(unknown.message).toContain('failed to find gid from "gps-nobody-knows"');
      if (login(bench) === "root") return;
      const refused = await failureOf(bench.runner({ command, unixSocketGroup: "0" }).start());
      expect(refused.code).toBe("plugin-not-started");
      expect(refused.message).toContain("`unixSocketGroup`");
    });
  });

  test("the process can be found again by what is known of it", async () => {
    await using bench = await kind.open();
    const runner = bench.runner({ command: bench.command("stays.sh") });
    expect(runner.process).toBeUndefined();
    await runner.start();
    const pid = Number(runner.id.split("#")[1]);
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "");
    const server = bench.server;
    const box = server ? { destination: `ssh://${server.user}@${server.host}:${server.port}` } : {};
    expect(runner.process).toEqual({ pid, startTime: stat.split(" ")[19], ...box });
    await runner.kill();
    expect(runner.process?.pid).toBe(pid);
  });
}

/** A call that throws, as a promise that rejects. */
async function asked(call: () => unknown): Promise<unknown> {
  return call();
}

/** The login's own group, as the box knows it. */
async function groupOf(bench: Bench): Promise<{ group: string; gid: number }> {
  await using runner = bench.runner({ command: ["/bin/sh", "-c", 'echo "$(id -gn)|$(id -g)"'] });
  await runner.start();
  const [, group = "", gid] = await new Said(runner.stdout).until(/^(.*)\|(.*)\n/);
  return { group, gid: Number(gid) };
}
