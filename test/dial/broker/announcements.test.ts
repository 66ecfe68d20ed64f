import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PluginError } from "../../../src/contract/errors.ts";
import { Announcements } from "../../../src/dial/broker/announcements.ts";
import { ConnInfoSchema } from "../../../src/dial/gen/plugin_pb.ts";

beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function info(serviceId: number, address: string) {
  return create(ConnInfoSchema, { serviceId, network: "unix", address });
}

function take(announcements: Announcements, id: number, signal?: AbortSignal): Promise<string> {
  const onTimeout = () => new PluginError("timeout", "too late");
  return announcements.take(id, { signal, until: [], onTimeout }).then(
    ({ address }) => address,
    (failure) => failure.code,
  );
}

test("gives what was announced before and after it is asked for, once", async () => {
  const announcements = new Announcements();
  announcements.offer(info(1, "/one"));
  const [first, second, other] = [take(announcements, 1), take(announcements, 1), take(announcements, 2)];
  expect(await first).toBe("/one");
  announcements.offer(info(2, "/two"));
  announcements.offer(info(1, "/more"));
  expect([await second, await other]).toEqual(["/more", "/two"]);
  expect(announcements.isAwaited(1)).toBe(false);
});

test("keeps the first of two for the same id, and no longer than 5 s", async () => {
  const announcements = new Announcements();
  announcements.offer(info(1, "/first"));
  announcements.offer(info(1, "/second"));
  await vi.advanceTimersByTimeAsync(4_999);
  expect(await take(announcements, 1)).toBe("/first");
  announcements.offer(info(1, "/third"));
  await vi.advanceTimersByTimeAsync(5_000);
  const late = take(announcements, 1);
  await vi.advanceTimersByTimeAsync(4_999);
  expect(announcements.isAwaited(1)).toBe(true);
  await vi.advanceTimersByTimeAsync(1);
  expect(await late).toBe("timeout");
});

test("who gives up takes nothing with him", async () => {
  const announcements = new Announcements();
  const giveUp = new AbortController();
  const waiting = take(announcements, 1, giveUp.signal);
  announcements.offer(info(1, "/one"));
  giveUp.abort();
  expect(await waiting).toBe("aborted");
  expect(await take(announcements, 1)).toBe("/one");
});

test("keeps a thousand and no more, and lets go of all", async () => {
  const announcements = new Announcements();
  for (let id = 1; id <= 1_025; id++) announcements.offer(info(id, `/${id}`));
  expect(await take(announcements, 1_024)).toBe("/1024");
  const late = take(announcements, 1_025);
  announcements.clear();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await late).toBe("timeout");
});
