import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readProgram } from "../../src/exec/loader.ts";
import { eventually } from "../tools/eventually.ts";
import { shells, startChild } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { isAlive } from "./trial.ts";

const home = temporaryDirectory();

/** A supervisor that waits, whose child notes whom it signals and signals nobody. `$1`: where; `$2`: how it goes on. */
const WAITS = `
  gps_nap() { until [ -e "$note.over" ]; do sleep 0.05; done; }
  gps_wake() { :; }
  gps_leave() { exit 0; }
  ${readProgram("await.sh")}
  note=$1
  kill() { printf '%s\n' "$*" >>"$note"; }
  gps_lease=1
  read -r gps_self _ </proc/self/stat
  : >"$note"
  gps_doze &
  printf '%s\n' "$!"
  [ "$2" = lives ] || command kill -s KILL "$$"
  wait
`;

describe.concurrent.each(shells())("await.sh under $name", (shell) => {
  test.each([
    ["lives", true],
    ["was killed", false],
  ])("when the lease is over, a supervisor that %s is ended by its pid: %s", async (how, isEnded) => {
    const note = join(home, `${how} ${shell.name.replaceAll("/", "")}`);
    const supervisor = await startChild(shell.path, ["-c", WAITS, "sh", note, how], {
      env: { PATH: shell.searchPath },
    });
    let said = "";
    supervisor.stdout.on("data", (chunk) => {
      said += chunk;
    });
    const [, child] = await eventually(() => /^(\d+)\n/.exec(said), { what: "the child's pid" });
    if (!isEnded) await eventually(() => !isAlive(supervisor.pid), { what: "the supervisor to be gone" });
    writeFileSync(`${note}.over`, "");
    await eventually(() => !isAlive(Number(child)), { what: "the lease to be over" });
    const signalled = readFileSync(note, "utf8").split("\n");
    expect(signalled.includes(String(supervisor.pid))).toBe(isEnded);
    await supervisor.exited;
  });
});
