import type { ServerChannel } from "ssh2";
import { type Visit, whenOver } from "./box.ts";
import { insideOf, packetsOf, type Write } from "./ssh2-inside.ts";

/** SSH's number for stderr among the kinds of extended data. */
const STDERR = 1;

/** Bytes that were written and are not yet sent. */
interface Waiting {
  bytes: Buffer;
  send(bytes: Buffer): void;
  done(): void;
}

/**
 * Gives a server channel of ssh2 1.17.0 what it lacks, and returns it:
 *
 * - Ending it sends EOF and leaves the other direction open. ssh2 closes the channel at that moment.
 * - stdout and stderr may wait for window at the same time. ssh2 sends stale bytes of stdout again when stderr may go on.
 * - A write always calls back, also when nobody is there any more to receive it. ssh2 keeps silent then.
 *
 * @param mayClose whether the channel may be closed already. Node wants to as soon as both directions have ended, and
 *   ssh2 as soon as the client does. Who says no has to close the channel later.
 */
export function mend(visit: Visit, channel: ServerChannel, mayClose: () => boolean = () => true): ServerChannel {
  const inside = insideOf(channel);
  const isOpen = () => !visit.over.aborted && inside.outgoing.state === "open" && inside.incoming.state !== "closed";
  channel.removeAllListeners("prefinish").removeAllListeners("finish");
  channel.on("finish", () => {
    if (isOpen()) inside.eof();
  });
  // Two pipelines and ourselves are more than ten who want to know.
  channel.setMaxListeners(0);
  // Both are told by `close` as well, so nothing is lost by not listening here.
  channel.on("error", () => {});
  inside.stderr.on("error", () => {});

  const packets = packetsOf(visit.connection);
  const { id } = inside.outgoing;
  const waiting: Waiting[] = [];
  const flush = () => {
    for (let first = waiting[0]; first; first = waiting[0]) {
      if (isOpen() && !sendSome(inside, first)) return waitForWindow();
      waiting.shift();
      first.done();
    }
  };
  const waitForWindow = () => {
    inside._chunk = undefined;
    inside._chunkcb = flush;
    inside._waitWindow = true;
  };
  const writer = (send: (bytes: Buffer) => void): Write => {
    return (bytes, _encoding, done) => {
      waiting.push({ bytes, send, done });
      if (waiting.length === 1) flush();
    };
  };
  inside._write = writer((bytes) => packets.channelData(id, bytes));
  inside.stderr._write = writer((bytes) => packets.channelExtData(id, bytes, STDERR));

  const close = inside.close;
  inside.close = () => {
    if (mayClose()) close.call(inside);
    flush();
  };
  const forget = whenOver(visit, flush);
  channel.once("close", forget);
  return channel;
}

/** Sends as much of `waiting` as the window allows; true if that was all of it. */
function sendSome({ outgoing }: ReturnType<typeof insideOf>, waiting: Waiting): boolean {
  while (waiting.bytes.length > 0 && outgoing.window > 0) {
    const length = Math.min(waiting.bytes.length, outgoing.window, outgoing.packetSize);
    waiting.send(waiting.bytes.subarray(0, length));
    outgoing.window -= length;
    waiting.bytes = waiting.bytes.subarray(length);
  }
  return waiting.bytes.length === 0;
}
