import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";

/**
 * A directory for the tests of one file, short enough for sockets below it. It is there from before the first test
 * until after the last, and not at all if none runs.
 */
export function temporaryDirectory(): string {
  const path = join(tmpdir(), `gx-${randomBytes(4).toString("hex")}`);
  beforeAll(() => void mkdirSync(path, { mode: 0o700 }));
  afterAll(() => rmSync(path, { recursive: true }));
  return path;
}
