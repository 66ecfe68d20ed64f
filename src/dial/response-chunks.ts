import type { ClientHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The body of a response, piece by piece, in place of the stream's own iterator: that one calls an answer which arrived
 * in one go a premature close, in Node 24.20 and later and 26.3 and later (nodejs/node#65677), because the stream says
 * `closed` before it has said `end`. The events come in the right order.
 *
 * @throws {ConnectError} `unavailable` if the answer broke off, or what the stream failed with
 */
export async function* responseChunks(stream: ClientHttp2Stream): AsyncGenerator<Buffer> {
  let failure = stream.errored ?? undefined;
  let ended = stream.readableEnded;
  let over = stream.destroyed;
  let wake = () => {};
  const listeners = {
    readable: () => wake(),
    end: () => {
      ended = true;
      wake();
    },
    error: (error: Error) => {
      failure ??= error;
      wake();
    },
    close: () => {
      over = true;
      wake();
    },
  };
  for (const [event, listener] of Object.entries(listeners)) stream.on(event, listener);
  try {
    for (;;) {
      const chunk: Buffer | null = over ? null : stream.read();
      if (chunk !== null) yield chunk;
      else if (failure) throw failure;
      else if (ended) return;
      else if (over) throw new ConnectError("the answer broke off", Code.Unavailable);
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    for (const [event, listener] of Object.entries(listeners)) if (event !== "error") stream.off(event, listener);
    if (!ended) stream.destroy();
  }
}
