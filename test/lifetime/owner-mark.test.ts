import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OWN_PREFIX, sweepStale } from "../../src/lifetime/owner-mark.ts";

/** A pid that was somebody's a moment ago. */
function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

test("removes what a dead process of this namespace left, and nothing else", async () => {
  const base = mkdtempSync(join(tmpdir(), "gpt-"));
  const [, namespace] = /^gps-(\w+)_\d+_$/.exec(OWN_PREFIX) ?? [];
  const dead = `gps-${namespace}_${deadPid()}_abcdef`;
  const kept = [
    `${OWN_PREFIX}abcdef`,
    `gps-${namespace}_1_abcdef`,
    `gps-zzzzzzz_${deadPid()}_abcdef`,
    "gps-abcdef",
    "somebody-elses",
  ];
  for (const name of [dead, ...kept]) {
    mkdirSync(join(base, name));
    writeFileSync(join(base, name, "plugin1"), "");
  }
  const file = `gps-${namespace}_${deadPid()}_a_file`;
  writeFileSync(join(base, file), "");
  await sweepStale(base);
  expect(readdirSync(base).sort()).toEqual([...kept, file].sort());
  rmSync(base, { recursive: true });
});

test("does no harm where there is nothing to read", async () => {
  await expect(sweepStale("/nonexistent/directory")).resolves.toBeUndefined();
});
