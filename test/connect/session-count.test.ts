import { expect, test } from "vitest";
import { SessionCount } from "../../src/connect/pool/session-count.ts";

/** Some that the server has opened. */
function open(count: SessionCount, howMany: number) {
  return Array.from({ length: howMany }, () => {
    const session = count.ask();
    session.granted();
    return session;
  });
}

test("those that are asked for count, and those that are open", () => {
  const count = new SessionCount();
  const [one] = open(count, 2);
  const asked = count.ask();
  expect([count.size, count.granted]).toEqual([3, 2]);
  one?.end();
  one?.end();
  asked.granted();
  expect([count.size, count.granted]).toEqual([2, 2]);
});

test("a refusal tells how many there were besides", () => {
  const count = new SessionCount();
  open(count, 3);
  const [one, other] = [count.ask(), count.ask()];
  // The other one may have been opened already.
  expect(one.refused()).toBe(4);
  expect(other.refused()).toBe(3);
  expect([count.size, count.granted]).toEqual([3, 3]);
});

test("one that has ended before or after the question may have been counted", () => {
  const count = new SessionCount();
  const [one, other] = open(count, 3);
  one?.end();
  const asked = count.ask();
  other?.end();
  expect(asked.refused()).toBe(1 + 2);
});

test("one that has ended before a question that was answered was not counted for the next one", () => {
  const count = new SessionCount();
  const [one, other] = open(count, 3);
  one?.end();
  const early = count.ask();
  other?.end();
  expect(early.refused()).toBe(3);
  expect(count.ask().refused()).toBe(1 + 1);
  expect(count.ask().refused()).toBe(1);
});

test("an answer says nothing for those who had asked before it", () => {
  const count = new SessionCount();
  const [one] = open(count, 2);
  one?.end();
  const [early, late] = [count.ask(), count.ask()];
  late.granted();
  expect(early.refused()).toBe(2 + 1);
});

test("one that nobody waits for any more may have been opened", () => {
  const count = new SessionCount();
  open(count, 1);
  count.ask().end();
  expect(count.size).toBe(1);
  expect(count.ask().refused()).toBe(1 + 1);
  expect(count.ask().refused()).toBe(1);
});
