import { mkdir, readdir, stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { makePrivateDirectory, removePrivateDirectory } from "../../src/lifetime/private-directory.ts";
import { Scratch } from "../connect/scratch.ts";

afterEach(() => vi.unstubAllEnvs());

test("only its owner can enter it, whatever the umask", async () => {
  await using scratch = await Scratch.make();
  vi.stubEnv("TMPDIR", scratch.directory);
  const directory = await makePrivateDirectory();
  expect(directory.startsWith(scratch.path("gps-"))).toBe(true);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  await scratch.put(join(relative(scratch.directory, directory), "left"), "something");
  await removePrivateDirectory(directory);
  await removePrivateDirectory(directory);
  expect(await readdir(scratch.directory)).toEqual([]);
});

test("each call makes another one", async () => {
  await using scratch = await Scratch.make();
  vi.stubEnv("TMPDIR", scratch.directory);
  const made = await Promise.all([makePrivateDirectory(), makePrivateDirectory()]);
  expect(new Set(made).size).toBe(2);
});

test("where the directory for temporary files has a long name, /tmp is taken", async () => {
  await using scratch = await Scratch.make();
  const long = scratch.path("x".repeat(100 - scratch.directory.length));
  await mkdir(long);
  vi.stubEnv("TMPDIR", long);
  const directory = await makePrivateDirectory();
  try {
    expect(directory).toMatch(/^\/tmp\/gps-[^/]+$/);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await readdir(long)).toEqual([]);
  } finally {
    await removePrivateDirectory(directory);
  }
});

test("where the directory for temporary files is not there, /tmp is taken", async () => {
  await using scratch = await Scratch.make();
  vi.stubEnv("TMPDIR", scratch.path("none"));
  const directory = await makePrivateDirectory();
  expect(directory).toMatch(/^\/tmp\/gps-[^/]+$/);
  await removePrivateDirectory(directory);
});

test("its path is absolute, although the directory for temporary files is named from here", async () => {
  await using scratch = await Scratch.make();
  vi.stubEnv("TMPDIR", relative(process.cwd(), scratch.directory));
  const directory = await makePrivateDirectory();
  expect(isAbsolute(directory)).toBe(true);
  await removePrivateDirectory(directory);
});
