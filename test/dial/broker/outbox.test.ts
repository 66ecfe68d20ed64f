import { expect, test } from "vitest";
import { Outbox } from "../../../src/dial/broker/outbox.ts";

const NEVER = new AbortController().signal;

test("gives out in order, tells who sent, and leaves out what was withdrawn", async () => {
  const outbox = new Outbox<string>();
  const giveUp = new AbortController();
  const sent = [outbox.put("one", NEVER), outbox.put("two", giveUp.signal), outbox.put("three", NEVER)];
  const withdrawn = expect(sent[1]).rejects.toMatchObject({ code: "aborted" });
  giveUp.abort();
  await withdrawn;
  await expect(outbox.put("late", giveUp.signal)).rejects.toMatchObject({ code: "aborted" });
  const reader = outbox[Symbol.asyncIterator]();
  expect(await reader.next()).toEqual({ done: false, value: "one" });
  await sent[0];
  expect(await reader.next()).toEqual({ done: false, value: "three" });
  await sent[2];
  const next = reader.next();
  outbox.put("four", NEVER);
  expect(await next).toEqual({ done: false, value: "four" });
  const last = reader.next();
  outbox.end();
  expect((await last).done).toBe(true);
});
