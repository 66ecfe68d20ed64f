import { setImmediate as turn } from "node:timers/promises";
import { Code, ConnectError, type UnaryRequest } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { explainLoss } from "../../src/dial/explain-loss.ts";
import { withFakeTimeouts } from "../connect/fake-timeouts.ts";

/** A call during which the connection goes: how it fails, who may tell the reason, and another call. */
function lostCall() {
  const over = new AbortController();
  const link = { losses: 0, over: over.signal };
  const call = explainLoss(link)(async () => {
    link.losses ||= 1;
    const cause = new PluginError("forward-failed", "Nobody listens.");
    throw new ConnectError("The stream was closed.", Code.Canceled, undefined, undefined, cause);
  });
  const request = { signal: new AbortController().signal } as UnaryRequest;
  const lose = () => call(request).catch((failure) => failure);
  return { failure: lose(), over, lose };
}

test("a call whose connection went waits 4 s for the reason: news of a process may be held up", async () => {
  await withFakeTimeouts(async (pass) => {
    const { failure, over } = lostCall();
    await turn();
    pass(3_999);
    await turn();
    const reason = new PluginError("plugin-exited", "The plugin has ended with exit code 3.");
    over.abort(reason);
    expect(await failure).toMatchObject({ code: Code.Unavailable, cause: reason });
  });
});

test("without a reason until then, the connection is all that is told", async () => {
  await withFakeTimeouts(async (pass) => {
    const { failure } = lostCall();
    await turn();
    pass(4_000);
    expect(await failure).toMatchObject({ code: Code.Unavailable, cause: { code: "forward-failed" } });
  });
});

test("where there was none, the next call waits for half a second only", async () => {
  await withFakeTimeouts(async (pass) => {
    const { failure, lose } = lostCall();
    await turn();
    pass(4_000);
    await failure;
    const next = lose();
    await turn();
    pass(500);
    expect(await next).toMatchObject({ code: Code.Unavailable, cause: { code: "forward-failed" } });
  });
});
