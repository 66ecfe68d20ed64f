import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type LaunchSpec, launch } from "../../src/exec/launch.ts";
import { EXEC_REQUEST, frame, LOADER, randomWord, readProgram } from "../../src/exec/loader.ts";
import { shells } from "./shells.ts";

const WORD = /^gps[0-9a-f]{32}$/;
const SOURCES = new URL("../../src/exec/", import.meta.url);
const SPEC: LaunchSpec = { command: ["/p"], environment: {}, scrub: [], killGraceMs: 5_000, leaseMs: 60_000 };

describe("the loader", () => {
  test("can be quoted for every login shell", () => {
    // ' would end the quotes, ! is history to csh, a newline ends a command there, and fish reads \\ and \' in quotes.
    expect(LOADER).not.toMatch(/['!\n\0]|\\[\\']/);
    expect(EXEC_REQUEST).toBe(`exec /bin/sh -c '${LOADER}'`);
    expect(EXEC_REQUEST.length).toBeLessThan(1_024);
  });

  test("is the same for every launch", () => {
    const { text } = launch({ ...SPEC, environment: { SECRET: "hunter2" } });
    expect(text).toContain("hunter2");
    expect(EXEC_REQUEST).not.toContain("hunter2");
  });

  describe.each(shells())("under $name", ({ path }) => {
    const run = (input: string) => {
      const options = { input, encoding: "utf8", stdio: "pipe" } as const;
      try {
        return { stdout: execFileSync(path, ["-c", LOADER], options), status: 0 };
      } catch (failure) {
        const { stdout, status } = failure as { stdout: string; status: number };
        return { stdout, status };
      }
    };

    test("evaluates the first document and leaves it the rest", () => {
      const input = frame('printf "%s\\n" one; cat', "two\nthree");
      const [end] = input.split("\n");
      expect(run(input)).toEqual({ stdout: `one\ntwo\nthree\n${end}\n`, status: 0 });
    });

    test("evaluates nothing of a document that was cut short", () => {
      const input = frame("echo evaluated\n\necho again");
      for (let length = 0; length < input.length; length += 7) {
        expect(run(input.slice(0, length))).toEqual({ stdout: "", status: 99 });
      }
      expect(run(input.slice(0, -1))).toEqual({ stdout: "", status: 99 });
      expect(run(input)).toEqual({ stdout: "evaluated\nagain\n", status: 0 });
    });
  });
});

describe("frame", () => {
  test("closes each document with a line that nobody can guess", () => {
    const [end, ...lines] = frame("a\nb", "c\n\n\n", "").split("\n");
    expect(end).toMatch(WORD);
    expect(lines).toEqual(["a", "b", end, "c", end, "", end, ""]);
    expect(frame("a").split("\n")[0]).not.toBe(end);
  });
});

describe("randomWord", () => {
  test("is always another one", () => {
    const words = Array.from({ length: 1_000 }, randomWord);
    expect(words.every((word) => WORD.test(word))).toBe(true);
    expect(new Set(words).size).toBe(1_000);
  });
});

describe("readProgram", () => {
  const programs = readdirSync(SOURCES).filter((name) => name.endsWith(".sh"));

  test.each(programs)("%s travels without its comments and its indentation, and is otherwise what it was", (name) => {
    const text = readProgram(name);
    expect(text).not.toMatch(/^\s*#/m);
    expect(text).not.toMatch(/^[ \t]/m);
    const whole = readFileSync(new URL(name, SOURCES), "utf8").split("\n");
    const kept = whole.map((line) => line.trimStart()).filter((line) => !line.startsWith("#"));
    expect(text).toBe(kept.join("\n"));
  });
});

describe("launch", () => {
  test("counts in whole seconds, and a part of one as one", () => {
    const { text } = launch({ ...SPEC, killGraceMs: 1, leaseMs: 1_001 });
    expect(text).toContain("\ngps_grace=1\ngps_lease=2\n");
    expect(launch({ ...SPEC, killGraceMs: 0, leaseMs: 0 }).text).toContain("\ngps_grace=0\ngps_lease=0\n");
  });

  test("has a mark of its own, that its programs know, and that is not in the text as it is", () => {
    const { mark, text } = launch(SPEC);
    expect(mark).toMatch(WORD);
    expect(text.replaceAll("''", "").split(`gps_mark=${mark}\n`)).toHaveLength(3);
    expect(text).not.toContain(mark);
    expect(launch(SPEC).mark).not.toBe(mark);
  });
});
