import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { within } from "../lifetime/deadline.ts";
import { harmless } from "../lifetime/tail.ts";
import type { Question } from "./terminal.ts";

/** Where distributions put the program, or a link to the one that was chosen. */
const DEFAULT_PROGRAM = "/usr/bin/ssh-askpass";
/** More than any secret has; OpenSSH takes 1023 bytes. */
const LONGEST_ANSWER = 64 * 1024;

/**
 * The program that is to ask in the place of the terminal, or `undefined`. As with ssh: without a terminal it is used
 * where a display is named; `SSH_ASKPASS_REQUIRE` makes it `never`, `prefer`red to the terminal, or `force`d, display or not.
 */
export function askpassProgram(environment: NodeJS.ProcessEnv, terminal: boolean): string | undefined {
  const { DISPLAY, WAYLAND_DISPLAY, SSH_ASKPASS, SSH_ASKPASS_REQUIRE = "" } = environment;
  const required = SSH_ASKPASS_REQUIRE.toLowerCase();
  const isAllowed = required === "force" || (required !== "never" && Boolean(DISPLAY || WAYLAND_DISPLAY));
  const isWanted = required === "force" || required === "prefer" || !terminal;
  if (!isAllowed || !isWanted) return undefined;
  return SSH_ASKPASS || (isExecutable(DEFAULT_PROGRAM) ? DEFAULT_PROGRAM : undefined);
}

/**
 * Has `program` ask; its first line is the answer. `undefined` if it gives none, or fails.
 *
 * @throws {PluginError} `aborted` for the signal; the program is ended then
 */
export function askByProgram(program: string, { text, signal }: Question): Promise<string | undefined> {
  return within(
    { signal },
    (over) =>
      new Promise<string | undefined>((resolve) => {
        const { SSH_ASKPASS_PROMPT: _, ...env } = process.env;
        const child = spawn(program, [text], { stdio: ["ignore", "pipe", "inherit"], env });
        over.addEventListener("abort", () => child.kill(), { once: true });
        let said = "";
        child.stdout.setEncoding("utf8").on("error", () => {});
        child.stdout.on("data", (piece: string) => {
          if (said.length < LONGEST_ANSWER) said += piece;
        });
        child.on("error", (failure) => {
          process.stderr.write(harmless(`go-plugin-ssh: SSH_ASKPASS cannot be used: ${failure.message}\n`));
          resolve(undefined);
        });
        child.on("close", (code) => resolve(code === 0 ? said.split(/[\r\n]/, 1)[0] : undefined));
      }),
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
