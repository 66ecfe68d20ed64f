import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Runner } from "../../src/contract/runner.ts";
import type { RunnerKind } from "./runner-kinds.ts";
import { Said } from "./said.ts";

/** What no shell may touch. */
const ODD = [
  "",
  " ",
  "two words",
  "it's",
  '"quoted"',
  "$HOME `id` $(id)",
  "*",
  "~",
  "!!",
  "-n",
  "--",
  "\\n\\0",
  "line\nbreak\n",
  "\r\n\t\x01\x7f",
  "naïve 日本 🐘",
  "gps_end",
  "#",
  ";exit 3",
];

/** What reaches the plugin. */
export function inputContract(kind: RunnerKind): void {
  describe("the plugin", () => {
    afterEach(() => {
      for (const name of Object.keys(process.env)) if (name.startsWith("GPT_")) delete process.env[name];
    });

    test("gets its arguments as they are", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("tells-how-it-was-started.mjs", ...ODD) });
      expect((await story(runner)).arguments).toEqual(ODD);
    });

    test("gets its environment as it is", async () => {
      await using bench = await kind.open();
      const environment = {
        ...Object.fromEntries(ODD.map((value, index) => [`ODD_${index}`, value])),
        LONG: "long ".repeat(20_000),
        CDPATH: "/tmp",
        BASH_ENV: "/nowhere",
        ENV: "/nowhere",
        lower_Case1: "1",
      };
      const command = bench.command("tells-how-it-was-started.mjs");
      await using runner = bench.runner({ command, environment });
      expect((await story(runner)).environment).toMatchObject(environment);
    });

    test("gets what is forwarded of the host's environment, and what was named wins", async () => {
      process.env.GPT_ONE = "1";
      process.env.GPT_TWO = "2";
      process.env.GPT_LAST = "x";
      await using bench = await kind.open();
      await using runner = bench.runner({
        command: bench.command("tells-how-it-was-started.mjs"),
        forwardEnvironment: ["GPT_*", "NOT_THERE"],
        environment: { GPT_LAST: "y" },
      });
      const { environment } = await story(runner);
      expect(environment).toMatchObject({ GPT_ONE: "1", GPT_TWO: "2", GPT_LAST: "y" });
      expect(environment).not.toHaveProperty("NOT_THERE");
    });

    test.skipIf(kind.isLocal)("gets nothing else of the host's environment", async () => {
      process.env.GPT_ONE = "1";
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("tells-how-it-was-started.mjs") });
      expect((await story(runner)).environment).not.toHaveProperty("GPT_ONE");
    });

    test("never inherits what a go-plugin host above has set", async () => {
      process.env.PLUGIN_CLIENT_CERT = "of another";
      process.env.PLUGIN_MULTIPLEX_GRPC = "true";
      await using bench = await kind.open();
      const command = bench.command("tells-how-it-was-started.mjs");
      await using runner = bench.runner({ command, forwardEnvironment: ["PLUGIN_*"] });
      const { environment } = await story(runner);
      delete process.env.PLUGIN_CLIENT_CERT;
      delete process.env.PLUGIN_MULTIPLEX_GRPC;
      expect(environment).not.toHaveProperty("PLUGIN_CLIENT_CERT");
      expect(environment).not.toHaveProperty("PLUGIN_MULTIPLEX_GRPC");
      expect(Object.keys(environment).filter((name) => name.startsWith("gps_"))).toEqual([]);
    });

    test.each(["plain", "it's an odd\nname", "-p", "$HOME"])("runs in the directory %j", async (name) => {
      await using bench = await kind.open();
      const directory = join(bench.directory, name);
      mkdirSync(directory, { mode: 0o755 });
      const command = bench.command("tells-how-it-was-started.mjs");
      if (name.includes("\n")) {
        expect(() => bench.runner({ command, directory })).toThrow("newline");
        return;
      }
      await using runner = bench.runner({ command, directory, environment: { CDPATH: "/tmp" } });
      expect((await story(runner)).directory).toBe(realpathSync(directory));
    });

    test("finds a program by the box's PATH", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: ["sh", "-c", "echo found"] });
      await runner.start();
      const [stdout] = [new Said(runner.stdout), runner.stderr.resume()];
      expect(await stdout.all).toBe("found\n");
      expect(await runner.wait()).toEqual({ code: 0, signal: null });
    });

    test("has a private directory and no stdin", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({
        command: bench.command("tells-how-it-was-started.mjs"),
        environment: { TMPDIR: "/nowhere", PLUGIN_UNIX_SOCKET_DIR: "/nowhere" },
      });
      const { environment, privateDirectory, stdin } = await story(runner);
      expect(privateDirectory).toEqual({ path: environment.TMPDIR, mode: 0o700, own: true });
      expect(stdin).toBe("");
    });
  });
}

/** Starts the fixture that tells, and reads what it tells. */
async function story(runner: Runner) {
  await runner.start();
  const stderr = new Said(runner.stderr);
  const stdout: Buffer[] = await runner.stdout.toArray();
  expect([await stderr.all, await runner.wait()]).toEqual(["", { code: 0, signal: null }]);
  return JSON.parse(Buffer.concat(stdout).toString());
}
