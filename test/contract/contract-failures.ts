import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PluginError } from "../../src/contract/errors.ts";
import { writeForeignProgram, writeProgramWithoutLoader, writeScriptWithoutInterpreter } from "./foreign-programs.ts";
import type { Bench, RunnerKind } from "./runner-kinds.ts";
import { failureOf } from "./said.ts";

/** Commands that cannot be started, and what the error must tell. */
const BROKEN: Record<string, (bench: Bench) => { command: string; directory?: string; tells: RegExp[] }> = {
  "no such file": (bench) => ({
    command: join(bench.directory, "nothing"),
    tells: [/there is no such command on the box/, /full path/, /Box: Linux \S+ \S+/],
  }),
  "no such command in the PATH": () => ({
    command: "gpt-no-such-command",
    tells: [/there is no such command on the box/, /PATH: \/\S+/],
  }),
  "a file that may not be executed": (bench) => {
    const path = join(bench.directory, "plain");
    writeFileSync(path, "#!/bin/sh\nexit 0\n", { mode: 0o644 });
    return { command: path, tells: [/may not be executed/, /Mode and owner: -rw-r--r--/, /chmod \+x/] };
  },
  "a directory": (bench) => ({ command: bench.boxTmp, tells: [/it is a directory/, /Mode and owner: drwxrwxrwt/] }),
  "a working directory that is not there": (bench) => ({
    command: "/bin/sh",
    directory: join(bench.directory, "nowhere"),
    tells: [/the working directory cannot be entered/, /`directory`/],
  }),
  "a program for another machine": (bench) => {
    const { path, machine } = writeForeignProgram(bench.directory);
    return {
      command: path,
      tells: [
        new RegExp(`it was built for ${machine} .* and the box is \\S+`),
        /It ended with exit code \d+/,
        new RegExp(`ELF architecture: ${machine}.*current architecture: ${process.arch === "arm64" ? "a" : "x86_64"}`),
        /Mode and owner: -rwxr-xr-x/,
        /Box: Linux \S+ \S+/,
        /The box's shell said:\n {2}\S/,
        /build for the box's architecture/,
      ],
    };
  },
  "a program whose loader is missing": (bench) => {
    const { path, loader } = writeProgramWithoutLoader(bench.directory);
    return {
      command: path,
      tells: [
        new RegExp(`its loader ${loader} is not on the box`),
        new RegExp(`ELF loader: ${loader} \\(missing\\)`),
        /It ended with exit code 127/,
        /The box's shell said:\n {2}\S.*not found/,
        /another C library/,
      ],
    };
  },
  "a script whose interpreter is missing": (bench) => {
    const { path, interpreter } = writeScriptWithoutInterpreter(bench.directory);
    return {
      command: path,
      tells: [
        new RegExp(`its interpreter could not be run \\(#!${interpreter}\\)`),
        /It ended with exit code 127/,
        /The box's shell said:\n {2}\S.*not found/,
        /Install the interpreter/,
      ],
    };
  },
};

/** Options that are refused by the constructor, and what the error says. */
const REFUSED: [what: string, options: object, says: RegExp][] = [
  ["a NUL in the program", { command: ["/bin/s\0h"] }, /`command`.*NUL/],
  ["a NUL in an argument", { command: ["/bin/sh", "\0"] }, /`command`.*NUL/],
  ["half a character", { command: ["/bin/sh", "\ud800"] }, /surrogate/],
  ["an empty command", { command: [] }, /`command`/],
  ["an empty program", { command: [""] }, /`command`/],
  ["an option for a program", { command: ["-c"] }, /"-c", which is no program/],
  ["a command line", { command: "/bin/sh -c true" }, /array of strings/],
  ["no command", {}, /`command`/],
  ["an unknown option", { arguments: [] }, /no option "arguments"/],
  ["an odd variable", { environment: { "A-B": "1" } }, /"A-B"/],
  ["a variable of the shell", { environment: { IFS: "1" } }, /IFS/],
  ["a number as a value", { environment: { A: 1 } }, /`environment\.A`/],
  ["a NUL in a value", { environment: { A: "s3cret\0" } }, /`environment\.A`.*NUL/],
  ["a pattern that is none", { forwardEnvironment: ["A=1"] }, /"A=1"/],
  ["an empty directory", { directory: "" }, /`directory`/],
  ["a NUL in the directory", { directory: "a\0" }, /`directory`.*NUL/],
  ["no checksum", { secureConfig: { hash: "sha256" } }, /no checksum provided/],
  ["an empty checksum", { secureConfig: { checksum: Buffer.alloc(0), hash: "sha256" } }, /no checksum provided/],
  ["an unknown hash", { secureConfig: { checksum: Buffer.alloc(16), hash: "md5" } }, /no hash implementation provided/],
  ["no hash", { secureConfig: { checksum: Buffer.alloc(32) } }, /no hash implementation provided/],
  ["a cut checksum", { secureConfig: { checksum: Buffer.alloc(31), hash: "sha256" } }, /32 bytes.*not 31 bytes/],
  ["a checksum as a text", { secureConfig: { checksum: "00", hash: "sha1" } }, /20 bytes.*not a string/],
  ["a slip in a checksum", { secureConfig: { checksum: Buffer.alloc(20), hash: "sha1", has: 1 } }, /no "has"/],
  ["a checksum that is none", { secureConfig: "sha256:00" }, /`secureConfig` must be an object/],
  ["an option for a group", { unixSocketGroup: "-R" }, /`unixSocketGroup`.*"-R"/],
  ["two groups", { unixSocketGroup: "a", environment: { PLUGIN_UNIX_SOCKET_GROUP: "b" } }, /name two groups/],
  ["a group as a number", { unixSocketGroup: 0 }, /`unixSocketGroup`.*not 0/],
  ["a group beyond all numbers", { unixSocketGroup: "4294967295" }, /`unixSocketGroup`.*"4294967295"/],
  ["a negative timeout", { startTimeoutMs: -1 }, /`startTimeoutMs`.*-1/],
  ["a timeout as a text", { killGraceMs: "5s" }, /`killGraceMs`.*"5s"/],
  ["a timeout without end", { startTimeoutMs: Number.POSITIVE_INFINITY }, /`startTimeoutMs`/],
];

/** How a runner fails. */
export function failureContract(kind: RunnerKind): void {
  describe("a command that cannot be run", () => {
    test.each(Object.keys(BROKEN))("%s", async (name) => {
      await using bench = await kind.open();
      const { command, directory, tells } = BROKEN[name]?.(bench) ?? { command: "", tells: [] };
      const runner = bench.runner({ command: [command, "word"], ...(directory === undefined ? {} : { directory }) });
      runner.stdout.resume();
      runner.stderr.resume();
      const failure: PluginError = await failureOf(runner.start().then(() => runner.wait()));
      expect(failure.code, failure.message).toBe("plugin-not-started");
      for (const part of tells) expect(failure.message).toMatch(part);
      expect(failure.message).toContain(JSON.stringify(command));
      expect(failure.message.endsWith(failure.hint)).toBe(true);
      expect(await failureOf(runner.wait())).toBe(failure);
      await runner.kill();
    });

    test("a private directory that cannot be made", async () => {
      await using bench = await kind.open();
      mkdirSync(join(bench.directory, "x".repeat(70)));
      const runner = bench.runner({
        command: bench.command("stays.sh"),
        directoryBase: join(bench.directory, "nowhere"),
      });
      await runner.start();
      // Another place was found.
      await runner.kill();
    });
  });

  describe("options", () => {
    test.each(REFUSED)("%s is refused", async (_what, options, says) => {
      await using bench = await kind.open();
      const command = bench.command("stays.sh");
      const make = () => bench.runner({ ...(Object.keys(options).length > 0 ? { command } : {}), ...options } as never);
      expect(make).toThrow(expect.objectContaining({ code: "bad-options", message: expect.stringMatching(says) }));
      expect(make).not.toThrow("s3cret");
    });
  });
}
