import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSshBench } from "../contract/runner-kinds.ts";
import { failureOf, Said } from "../contract/said.ts";
import { hasTier } from "../tiers/tiers.ts";

/** A login shell, and the rc files that it reads for a command. */
interface LoginShell {
  readonly name: string;
  /** Files below the home that it reads although nobody is there to type. */
  readonly rcFiles: readonly string[];
  /** The options that change most, in its own words. */
  readonly oddities: string;
}

const SHELLS: readonly LoginShell[] = [
  { name: "dash", rcFiles: [], oddities: "" },
  // sshd's bash believes that a network connection runs it, and reads its rc file.
  {
    name: "bash",
    rcFiles: [".bashrc"],
    oddities:
      "set -euo pipefail; shopt -s nullglob failglob; IFS=g; export BASH_ENV=/nowhere ENV=/nowhere CDPATH=/tmp TMOUT=1; cd /",
  },
  {
    name: "zsh",
    rcFiles: [".zshenv"],
    oddities:
      "setopt ERR_EXIT NO_UNSET KSH_ARRAYS SH_WORD_SPLIT NULL_GLOB INTERACTIVE_COMMENTS; IFS=g; export TMOUT=1; cd /",
  },
  {
    name: "fish",
    rcFiles: [".config/fish/config.fish"],
    oddities:
      "set -gx CDPATH /tmp; set -gx TMOUT 1; function sh; echo not me; end; function exec; echo not me; end; cd /",
  },
  {
    name: "tcsh",
    rcFiles: [".tcshrc"],
    oddities: "set nonomatch; set noglob; set noclobber; alias sh echo not me; setenv TMOUT 1; cd /",
  },
];

/** What a start-up file prints, on both streams, in words that all these shells understand. */
const NOISE = "echo 'welcome, gps of the world'; sh -c 'echo oops >&2; printf no-newline'";

describe.skipIf(!hasTier("login-shells")).each(SHELLS)("$name as the login shell", ({ name, rcFiles, oddities }) => {
  const shell = `/bin/${name}`;

  test("runs a plugin, which gets its words and its directory as they are", async () => {
    await using place = await Home.make(rcFiles, "");
    await using bench = await openSshBench({ account: { home: place.home, shell } });
    const words = ["!!", "$HOME", "it's", "\\n", "~", "a  b", "*", "日本"];
    await using runner = bench.runner({ command: bench.command("tells-how-it-was-started.mjs", ...words) });
    await runner.start();
    runner.stderr.resume();
    const story = JSON.parse(await new Said(runner.stdout).all);
    expect(story).toMatchObject({ directory: place.home });
    expect(Buffer.from(JSON.stringify(story.arguments), "latin1").toString()).toBe(JSON.stringify(words));
    expect(await runner.wait()).toEqual({ code: 0, signal: null });
  });

  test.skipIf(rcFiles.length === 0)("with noise in its rc files, keeps it from the plugin's streams", async () => {
    await using place = await Home.make(rcFiles, NOISE);
    await using bench = await openSshBench({ account: { home: place.home, shell } });
    await using runner = bench.runner({ command: ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"] });
    await runner.start();
    const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
    expect([await stdout.all, await stderr.all]).toEqual(["out\n", "err\n"]);
    expect(await runner.wait()).toEqual({ code: 3, signal: null });
  });

  test.skipIf(rcFiles.length === 0)("with odd options, runs a plugin and ends it", async () => {
    await using place = await Home.make(rcFiles, oddities);
    await using bench = await openSshBench({ account: { home: place.home, shell } });
    await using runner = bench.runner({ command: bench.command("has-children.sh", "stays") });
    await runner.start();
    const stdout = new Said(runner.stdout);
    await stdout.until(/\d+ \d+\n/);
    await runner.kill();
    expect(await runner.wait()).toEqual({ code: null, signal: "SIGKILL" });
  });

  test.skipIf(rcFiles.length === 0)("with an rc file that waits for an answer, tells what it said before", async () => {
    const wait = { fish: "read -P ''", tcsh: 'set answer = "$<"' }[name] ?? "read answer </dev/null; sleep 300";
    await using place = await Home.make(rcFiles, `echo 'Do you accept?'; ${wait}; sleep 300`);
    await using bench = await openSshBench({ account: { home: place.home, shell } });
    const runner = bench.runner({ command: bench.command("stays.sh"), startTimeoutMs: 10_000 });
    const failure = await failureOf(runner.start());
    expect(failure.code).toBe("timeout");
    expect(failure.message).toContain("Do you accept?");
    expect(failure.hint).toContain("rc file");
    // What waits there is not ours to end.
    await bench.server?.stop({ leftovers: "end" });
    await runner.kill().catch(() => {});
  });

  // fish and tcsh go on after it.
  test.skipIf(name !== "bash" && name !== "zsh")("with an rc file that exits, tells what it said before", async () => {
    await using place = await Home.make(rcFiles, "echo 'Closed for today'; exit 4");
    await using bench = await openSshBench({ account: { home: place.home, shell } });
    const runner = bench.runner({ command: bench.command("stays.sh") });
    const failure = await failureOf(runner.start());
    expect(failure.code).toBe("plugin-not-started");
    expect(failure.message).toContain("exit code 4");
    expect(failure.message).toContain("Closed for today");
    expect(failure.hint).toContain("rc file");
    await runner.kill();
  });
});

describe.skipIf(!hasTier("accounts"))("a home of 200 characters", () => {
  test("is no obstacle", async () => {
    await using place = await Home.make([], "", "h".repeat(200));
    await using bench = await openSshBench({ account: { home: place.home } });
    await using runner = bench.runner({ command: bench.command("serves.mjs") });
    await runner.start();
    runner.stderr.resume();
    const { path } = JSON.parse((await new Said(runner.stdout).until(/.*\n/))[0]);
    const stream = await runner.openStream?.({ network: "unix", path });
    stream?.end("echo\nwell");
    expect(stream && (await new Said(stream).all)).toBe("well");
  });
});

/** A home with rc files, which goes at the end. */
class Home implements AsyncDisposable {
  readonly home: string;
  readonly #directory: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.home = join(directory, name);
  }

  static async make(rcFiles: readonly string[], content: string, name = "home"): Promise<Home> {
    const made = new Home(await mkdtemp(join(tmpdir(), "gph")), name);
    mkdirSync(made.home, { recursive: true });
    for (const file of rcFiles) {
      mkdirSync(join(made.home, file, ".."), { recursive: true });
      writeFileSync(join(made.home, file), `${content}\n`);
    }
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
