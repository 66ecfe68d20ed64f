import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { ChatMessageSchema } from "../plugins/gen/kv_pb.ts";
import type { Hosted } from "./started-client.ts";

/** A streaming call and one that waits for an answer; their causes when they fail, which they must, as gRPC says it. */
export function underWay({ kv }: Hosted) {
  let begin: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const open = new AbortController();
  async function* oneMessage() {
    yield create(ChatMessageSchema, { text: "one" });
    await delay(60_000, undefined, { signal: open.signal }).catch(() => {});
  }
  const chat = async () => {
    for await (const _ of kv.chat(oneMessage())) begin();
  };
  const count = async () => {
    for await (const { n } of kv.count({ from: 1, to: 2 ** 31 - 1, size: 10 })) if (n % 50 === 0) await delay(1);
  };
  const causes = Promise.all([causeOf(chat()), causeOf(count())]).finally(() => open.abort());
  return { begun, causes };
}

/** Why a call failed: it must be Unavailable, with one of our errors as its cause. */
export async function causeOf(call: Promise<unknown>): Promise<PluginError> {
  const failure = ConnectError.from(
    await call.then(
      () => new Error("It did not fail."),
      (reason) => reason,
    ),
  );
  expect(failure).toMatchObject({ code: Code.Unavailable });
  expect(failure.cause, failure.message).toBeInstanceOf(PluginError);
  return failure.cause as PluginError;
}
