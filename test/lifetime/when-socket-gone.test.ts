import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { whenSocketGone } from "../../src/lifetime/when-socket-gone.ts";
import { eventually } from "../tools/eventually.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "gone-"));
});
afterEach(() => rm(directory, { recursive: true }));

test("everybody who asked is told once when the file is gone", async () => {
  const path = join(directory, "socket");
  await writeFile(path, "");
  const told: string[] = [];
  whenSocketGone(path, () => told.push("first"));
  whenSocketGone(path, () => told.push("second"));
  const end = whenSocketGone(path, () => told.push("third"));
  end();
  await unlink(path);
  await eventually(() => told.length > 0, { what: "the news" });
  expect(told).toEqual(["first", "second"]);
});

test("what has not come yet is not gone", async () => {
  const [late, brief] = [join(directory, "late"), join(directory, "brief")];
  await writeFile(brief, "");
  const told: string[] = [];
  const ends = [late, brief].map((path) => whenSocketGone(path, () => told.push(path)));
  await unlink(brief);
  await eventually(() => told.length > 0, { what: "the news" });
  expect(told).toEqual([brief]);
  for (const end of ends) end();
});
