import { EventEmitter, getEventListeners } from "node:events";
import type { ClientChannel } from "ssh2";
import { expect, test } from "vitest";
import { execChannel } from "../../src/connect/exec-channel.ts";

/** A channel of which only the events matter. */
function channelWith(lost = new AbortController()) {
  const channel = new EventEmitter();
  return { channel, lost, seen: execChannel(channel as unknown as ClientChannel, lost.signal) };
}

test.each<[what: string, event: unknown[], exit: unknown]>([
  ["an exit code", [0], { code: 0, signal: null }],
  ["a signal", [null, "SIGTERM"], { code: null, signal: "SIGTERM" }],
  ["a signal without a name", [null], { code: null, signal: "SIGKILL" }],
])("%s is how it ended, and it is closed when the channel is", async (_what, event, exit) => {
  const { channel, lost, seen } = channelWith();
  channel.emit("exit", ...event);
  expect(await seen.exited).toEqual(exit);
  channel.emit("close");
  await seen.closed;
  expect(getEventListeners(lost.signal, "abort")).toHaveLength(0);
});

test("a channel that closes without a word", async () => {
  const { channel, seen } = channelWith();
  channel.emit("close");
  expect(await seen.exited).toBeUndefined();
  await seen.closed;
});

test("a lost connection ends it, although nobody has read its streams to the end", async () => {
  const { channel, lost, seen } = channelWith();
  channel.emit("exit", 0);
  lost.abort();
  expect(await seen.exited).toEqual({ code: 0, signal: null });
  await seen.closed;
});

test("a connection that was lost already", async () => {
  const lost = new AbortController();
  lost.abort();
  const { seen } = channelWith(lost);
  expect(await seen.exited).toBeUndefined();
  await seen.closed;
});
