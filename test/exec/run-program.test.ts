import { expect, test } from "vitest";
import { EXEC_REQUEST, readProgram } from "../../src/exec/loader.ts";
import { runProgram } from "../../src/exec/run-program.ts";
import { later } from "../../src/lifetime/later.ts";
import { FakeBox, settled } from "./fake-box.ts";

const LIMITS = { timeoutMs: 30_000 };

test("sends the variables and the program over stdin, then its end", async () => {
  const box = new FakeBox();
  const running = runProgram(box.exec, "listening.sh", { gps_path: "/it's here", gps_none: "" }, LIMITS);
  await settled();
  const { written, acts, mark } = box.channel();
  expect(box.requests.map(({ command }) => command)).toEqual([EXEC_REQUEST]);
  expect(written).toContain(`gps_path='/it'\\''s here'\ngps_none=\ngps_mark=${mark}\n${readProgram("listening.sh")}`);
  expect(acts).toEqual(["end"]);
  box.channel().exit(0);
  expect(await running).toEqual({});
  expect(acts).toEqual(["end", "close"]);
});

test("makes one program of several files", async () => {
  const box = new FakeBox();
  const running = runProgram(box.exec, ["family.sh", "end-recorded.sh"], {}, LIMITS);
  await settled();
  expect(box.channel().written).toContain(`${readProgram("family.sh")}\n${readProgram("end-recorded.sh")}`);
  box.channel().exit(0);
  await running;
});

test("gives the facts, and nothing else that was said", async () => {
  const box = new FakeBox();
  const running = runProgram(box.exec, "inspect.sh", {}, LIMITS);
  await settled();
  const { mark, stdout, stderr } = box.channel();
  stdout.write(`Welcome\nother=fact\nno newline${mark} a=1\n${mark} b=x=y z \n${mark} b`);
  stdout.write(`=second\n${mark} empty=\n${mark} -=no\n${mark}c=no\n${mark} escape=\x1b[31m\nnext line of it\n`);
  stderr.write(`${mark} d=no\n`);
  box.channel().exit(0);
  expect(await running).toEqual({ a: "1", b: "second", empty: "", escape: "\\x1b[31m" });
});

test("waits for the output when the end is known before", async () => {
  const box = new FakeBox();
  const running = runProgram(box.exec, "inspect.sh", {}, LIMITS);
  await settled();
  const channel = box.channel();
  channel.exitWithoutClose(0);
  await settled();
  channel.stdout.end(`${channel.mark} late=1\n`);
  expect(await running).toEqual({ late: "1" });
});

test.each(["destroyed", "broken", "ended"])("gives what there was when its output was %s", async (how) => {
  const box = new FakeBox();
  const running = runProgram(box.exec, "inspect.sh", {}, LIMITS);
  await settled();
  const channel = box.channel();
  channel.stdout.write(`${channel.mark} a=1\n`);
  await settled();
  if (how === "ended") channel.stdout.end();
  else channel.stdout.destroy(how === "broken" ? new RangeError("broken") : undefined);
  channel.exitWithoutClose(0);
  expect(await running).toEqual({ a: "1" });
});

test("has a deadline, and closes the channel then", async () => {
  const box = new FakeBox();
  await expect(runProgram(box.exec, "inspect.sh", {}, { timeoutMs: 30 })).rejects.toMatchObject({ code: "timeout" });
  expect(box.channel().acts).toContain("close");
});

test("can be given up, and closes the channel then", async () => {
  const box = new FakeBox();
  const giveUp = new AbortController();
  const running = runProgram(box.exec, "inspect.sh", {}, { ...LIMITS, signal: giveUp.signal });
  await settled();
  giveUp.abort();
  await expect(running).rejects.toMatchObject({ code: "aborted" });
  await settled();
  expect(box.channel().acts).toContain("close");
});

test("closes a channel that comes after it was given up", async () => {
  const box = new FakeBox();
  const opened = later<void>();
  box.opening = opened.promise;
  const giveUp = new AbortController();
  const running = runProgram(box.exec, "inspect.sh", {}, { ...LIMITS, signal: giveUp.signal });
  await settled();
  giveUp.abort();
  await expect(running).rejects.toMatchObject({ code: "aborted" });
  opened.resolve();
  await settled();
  expect([box.channel().written, box.channel().acts]).toEqual(["", expect.arrayContaining(["close"])]);
});

test("fails as the connection does", async () => {
  const box = new FakeBox();
  box.opening = Promise.reject(new RangeError("lost"));
  await expect(runProgram(box.exec, "inspect.sh", {}, LIMITS)).rejects.toThrow("lost");
});

test("has a handler for every error", async () => {
  const box = new FakeBox();
  const running = runProgram(box.exec, "inspect.sh", {}, LIMITS);
  await settled();
  const channel = box.channel();
  for (const stream of [channel.stdin, channel.stdout, channel.stderr]) stream.destroy(new RangeError("broken"));
  await settled();
  channel.exitWithoutClose(1);
  expect(await running).toEqual({});
});
