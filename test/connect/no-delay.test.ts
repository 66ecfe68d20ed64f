import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { startEmbedded } from "../servers/embedded.ts";
import { loginWithKey } from "./login.ts";

/** What Node keeps of a TCP connection; that it sends at once can be asked of nothing else. */
interface Handle {
  setNoDelay(on: boolean): unknown;
  getpeername(to: { port?: number }): unknown;
}

test("the connection to the box sends small packets at once", async () => {
  await using server = await startEmbedded();
  const some = connectSocket({ host: server.host, port: server.port });
  some.on("error", () => {});
  await once(some, "connect");
  const kind: Handle = Object.getPrototypeOf((some as unknown as { _handle: Handle })._handle);
  const told = vi.spyOn(kind, "setNoDelay");
  onTestFinished(() => told.mockRestore());
  some.destroy();

  await using _connection = await loginWithKey(server);
  const toBox = told.mock.contexts.map((handle, call) => {
    const peer: { port?: number } = {};
    (handle as Handle).getpeername(peer);
    return { port: peer.port, on: told.mock.calls[call]?.[0] };
  });
  expect(toBox).toContainEqual({ port: server.port, on: true });
});
