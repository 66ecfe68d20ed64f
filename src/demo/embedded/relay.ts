import type { Socket } from "node:net";
import type { ServerChannel } from "ssh2";
import { join } from "../../lifetime/join.ts";
import { type Visit, whenOver } from "./box.ts";
import { mend } from "./mend-channel.ts";
import { insideOf } from "./ssh2-inside.ts";

/**
 * Connects a forwarded channel with a socket on the box. Either side may end first; the channel closes when both have
 * ended, or when either fails.
 *
 * @param what what this is, for people
 */
export function relay(visit: Visit, unmended: ServerChannel, socket: Socket, what: string): void {
  const channel = mend(visit, unmended);
  const { ledger } = visit.box;
  const close = () => insideOf(channel).close();
  const strikeChannel = ledger.enter(ledger.channels, { what, close });
  const forget = whenOver(visit, strikeChannel);
  channel.once("close", () => {
    forget();
    strikeChannel();
  });
  join(channel, socket, close);
}

/** Takes note of a socket on the box, so that it can be ended with the server. */
export function note(visit: Visit, socket: Socket, what: string): Socket {
  const { ledger } = visit.box;
  const strike = ledger.enter(ledger.sockets, { what, close: () => socket.destroy() });
  // A failure closes it too; whoever must tell the two apart listens for himself.
  return socket.on("error", () => {}).once("close", strike);
}
