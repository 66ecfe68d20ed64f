import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { ANSWER, MESSAGE } from "../../../src/connect/openssh/control-protocol.ts";
import { MuxProxy } from "../../../src/connect/openssh/mux-proxy.ts";
import { encode } from "../../../src/connect/openssh/wire.ts";
import { withFakeTimeouts } from "../fake-timeouts.ts";
import { Scratch } from "../scratch.ts";

/** More than a socket needs to be closed. */
const TURNS = 20;

test("the master is left when the server has answered, also if that takes a few seconds", async () => {
  await using scratch = await Scratch.make();
  const listener = createServer((socket) => {
    socket.once("data", () => socket.write(encode(encode(ANSWER.proxy, 0))));
  }).listen(scratch.path("m"));
  const connected = once(listener, "connection");
  using _ = { [Symbol.dispose]: () => listener.close() };
  await withFakeTimeouts(async (pass) => {
    const proxy = await MuxProxy.open(scratch.path("m"), {});
    const [master]: [Socket] = (await connected) as [Socket];
    using __ = { [Symbol.dispose]: () => master.destroy() };
    const refusal = expect(proxy.openChannel("session")).rejects.toMatchObject({ reason: 1 });
    let isGone = false;
    void proxy.closed.then(() => {
      isGone = true;
    });
    const leaving = proxy.leave();
    pass(5_000);
    for (let left = TURNS; left > 0; left -= 1) await turn();
    expect(isGone).toBe(false);
    // No padding, then what it is about.
    const kind = Buffer.from([0, MESSAGE.openFailure]);
    master.write(encode(encode({ raw: kind }, 0, 1, "no", "")));
    await refusal;
    await leaving;
    expect(isGone).toBe(true);
  });
});
