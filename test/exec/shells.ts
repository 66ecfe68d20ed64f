import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll } from "vitest";
import type { ExecChannel } from "../../src/contract/connection.ts";
import type { ExitStatus } from "../../src/contract/runner.ts";
import { EXEC_REQUEST, LOADER } from "../../src/exec/loader.ts";
import type { Exec } from "../../src/exec/run-program.ts";
import { hasTier } from "../tiers/tiers.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A shell to run our programs under. */
export interface TestShell {
  /** For the name of a test. */
  readonly name: string;
  /** An absolute path. */
  readonly path: string;
  /** The PATH of a session under it. */
  readonly searchPath: string;
}

/** What a session on a box is like, apart from its shell. */
export interface Session {
  /** The whole environment. */
  env: Record<string, string>;
  /** The login directory. @default / */
  cwd?: string | undefined;
}

/**
 * The shells that this machine has: its /bin/sh always, and with the tier `shells` dash, bash by its own name and in
 * the guise of `sh`, and busybox ash, once with the tools around it and once with busybox's own.
 *
 * To be called while a test file is read: what is made for the shells is there for as long as its tests.
 */
export function shells(): TestShell[] {
  const searchPath = process.env.PATH ?? "/usr/bin:/bin";
  const found: TestShell[] = [{ name: "/bin/sh", path: "/bin/sh", searchPath }];
  if (!hasTier("shells")) return found;
  const directory = temporaryDirectory();

  const busybox = where("busybox");
  const asSh = join(directory, "sh");
  const ash = join(directory, "ash");
  const applets = join(directory, "applets");
  beforeAll(() => {
    symlinkSync(where("bash"), asSh);
    symlinkSync(busybox, ash);
    mkdirSync(applets);
    for (const applet of execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n")) {
      if (applet !== "busybox") symlinkSync(busybox, join(applets, applet));
    }
  });
  return [
    ...(realpathSync("/bin/sh") === realpathSync(where("dash")) ? [] : found),
    { name: "dash", path: where("dash"), searchPath },
    { name: "bash", path: where("bash"), searchPath },
    { name: "bash as sh", path: asSh, searchPath },
    { name: "busybox ash", path: ash, searchPath },
    { name: "busybox alone", path: join(applets, "ash"), searchPath: applets },
  ];
}

/** Runs the loader under `shell` as an sshd would: in a session of its own, with nothing but the session's environment. */
export function localExec(shell: TestShell, session: Session): Exec {
  return (command) => {
    if (command !== EXEC_REQUEST) throw new TypeError(`A box is only ever asked for the loader, not for ${command}`);
    return startChild(shell.path, ["-c", LOADER], session);
  };
}

/** A child process as an {@link ExecChannel}, with its pid. */
export function startChild(program: string, args: string[], session: Session): Promise<ExecChannel & { pid: number }> {
  const child = spawn(program, args, { detached: true, cwd: session.cwd ?? "/", env: session.env, stdio: "pipe" });
  const exited = new Promise<ExitStatus>((resolve) => {
    child.on("exit", (code, signal) => {
      resolve(code === null ? { code, signal: signal ?? "" } : { code, signal: null });
    });
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("spawn", () => {
      resolve({
        pid: child.pid ?? 0,
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        exited,
        closed: exited,
        signal: (name) => void child.kill(`SIG${name}` as NodeJS.Signals),
        close: () => void child.stdin.destroy(),
      });
    });
  });
}

/** Where a program is that the tier `shells` is known to have. */
export function where(program: string): string {
  const directory = (process.env.PATH ?? "").split(":").find((one) => one !== "" && existsSync(join(one, program)));
  return join(directory ?? "/bin", program);
}
