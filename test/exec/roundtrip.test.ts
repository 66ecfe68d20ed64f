import { chmodSync, copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildEnvironment } from "../../src/exec/environment.ts";
import { randomWord } from "../../src/exec/loader.ts";
import { SupervisedProcess } from "../../src/exec/supervised-process.ts";
import { eventually } from "../tools/eventually.ts";
import fc from "../tools/property.ts";
import { mayTravel, type Sent, sent } from "./arbitrary-launch.ts";
import { localExec, shells, type TestShell } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { GIVE_UP_MS, processesWith } from "./trial.ts";

/** How many launches there are in all, and how many run at once. */
const LAUNCHES = 2_000;
const AT_ONCE = 6;
const SEED = 20_261_123;

/** What the shells on the way, or the session, set by themselves. */
const NOT_SENT = new Set(["_", "PWD", "OLDPWD", "SHLVL"]);

const home = temporaryDirectory();
const fixture = join(home, "tells what it got");
beforeAll(() => {
  copyFileSync(fileURLToPath(new URL("./fixtures/tells-what-it-got.sh", import.meta.url)), fixture);
  chmodSync(fixture, 0o755);
});
const marker = `roundtrip${randomWord()}`;

afterAll(async () => {
  const left = () => [...processesWith(marker), ...readdirSync(home).filter((one) => one.startsWith("gp-"))];
  await eventually(() => left().length === 0, {
    what: "the end of all processes and directories",
    timeoutMs: GIVE_UP_MS,
    state: left,
  });
});

/** Launches the fixture with what is sent, and gives back what it says it got. */
async function launched(shell: TestShell, { args, environment, directory }: Sent): Promise<Sent> {
  const where = ["d", ...directory];
  mkdirSync(join(home, ...where), { recursive: true });
  const env = { PATH: shell.searchPath, HOME: home, TRIAL: marker };
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const process = new SupervisedProcess({
    spec: {
      command: [fixture, ...args],
      environment: buildEnvironment({ environment, forwardEnvironment: [], hostEnvironment: {} }),
      directory: where.join("/"),
      directoryBase: home,
      scrub: [],
      killGraceMs: 1_000,
      leaseMs: 0,
      shell: shell.path,
    },
    exec: localExec(shell, { env, cwd: home }),
    lost: new AbortController().signal,
    stdout,
    stderr,
    heartbeatIntervalMs: 0,
  });
  const said = Promise.all([buffer(stdout), buffer(stderr)]);
  const report = await process.start({ timeoutMs: 30_000 });
  const [out, err] = await said;
  expect({ exit: await process.exited, stderr: String(err) }).toEqual({ exit: { code: 0, signal: null }, stderr: "" });

  const [cmdline = "", environ = "", cwd = ""] = splitParts(out);
  const variables = environ
    .split("\0")
    .slice(0, -1)
    .map((one): [string, string] => {
      const at = one.indexOf("=");
      return [one.slice(0, at), one.slice(at + 1)];
    });
  expect(new Set(variables.map(([name]) => name)).size).toBe(variables.length);
  const { PLUGIN_UNIX_SOCKET_DIR, TMPDIR, ...others } = Object.fromEntries(
    variables.filter(([name]) => !NOT_SENT.has(name)),
  );
  expect([PLUGIN_UNIX_SOCKET_DIR, TMPDIR]).toEqual([report.directory, report.directory]);
  for (const name of Object.keys(env)) {
    expect(others[name]).toBe(env[name as keyof typeof env]);
    delete others[name];
  }
  // The kernel puts the interpreter of a script before its path.
  expect(cmdline.split("\0").slice(0, 2)).toEqual(["/bin/sh", fixture]);
  return {
    args: cmdline.split("\0").slice(2, -1),
    environment: others,
    directory: cwd.slice(join(home, "d").length, -1).split("/").slice(1),
  };
}

function splitParts(out: Buffer): string[] {
  const text = out.toString("utf8");
  // Byte for byte: nothing that is not UTF-8 may have come into it.
  expect(Buffer.from(text).equals(out)).toBe(true);
  const first = text.indexOf("\0PART\n");
  const second = text.indexOf("\0PART\n", first + 1);
  return [text.slice(0, first + 1), text.slice(first + 6, second + 1), text.slice(second + 6)];
}

/** Names that mean something to one shell or another. */
const HAZARDS = (
  "ATTY AUTO_RESUME BASH BASH_ALIASES BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_COMPAT BASH_ENV BASH_EXECUTION_STRING " +
  "BASH_LOADABLES_PATH BASH_MONOSECONDS BASH_REMATCH BASH_SUBSHELL BASH_TRAPSIG BASH_VERSION BASH_XTRACEFD CDPATH " +
  "CHILD_MAX COLUMNS COMPREPLY COMP_CWORD COMP_KEY COMP_LINE COMP_POINT COMP_TYPE COPROC EMACS ENV EXECIGNORE FCEDIT " +
  "FIGNORE FPATH FUNCNEST GLOBIGNORE GLOBSORT HISTCONTROL HISTFILE HISTFILESIZE HISTIGNORE HISTSIZE HISTTIMEFORMAT " +
  "HOSTFILE HOSTNAME HOSTTYPE IGNOREEOF INPUTRC INSIDE_EMACS KSH_VERSION LANG LC_ALL LC_COLLATE LC_CTYPE LC_MESSAGES " +
  "LC_NUMERIC LC_TIME LINES LOGNAME MACHTYPE MAIL MAILCHECK MAILPATH MAPFILE OSTYPE PIPESTATUS PROMPT_COMMAND " +
  "PROMPT_DIRTRIM PS0 PS3 READLINE_ARGUMENT READLINE_LINE READLINE_MARK READLINE_POINT REPLY SHELL TERM TEXTDOMAIN " +
  "TEXTDOMAINDIR TIMEFORMAT TMOUT TZ USER auto_resume histchars cflags status path cwd prompt " +
  "__proto__ constructor toString hasOwnProperty IFS OPTIND UID RANDOM PPID SECONDS PS4 LINENO SHELLOPTS BASHOPTS EUID"
).split(" ");

const all = shells();

describe.concurrent.each(all)("under $name, a plugin gets", (shell) => {
  test("byte for byte the arguments, environment and directory that were sent", { timeout: 300_000 }, async () => {
    const runs = Math.ceil(LAUNCHES / all.length / AT_ONCE);
    const batch = fc.array(sent, { minLength: AT_ONCE, maxLength: AT_ONCE });
    const property = fc.asyncProperty(batch, async (cases) => {
      const got = await Promise.all(cases.map((one) => launched(shell, one)));
      expect(got).toEqual(cases);
    });
    await fc.assert(property, { seed: SEED, numRuns: runs, endOnFailure: true });
  });

  test("a variable of any name, or its sender an error", async () => {
    const names = HAZARDS.filter(mayTravel);
    const values = ["x 'y' $z", "7"];
    for (const value of values) {
      const environment = Object.fromEntries(names.map((name) => [name, value]));
      const { environment: got } = await launched(shell, { args: [], environment, directory: [] });
      expect(got).toEqual(environment);
    }
  });
});
