import type { Duplex } from "node:stream";
import { PluginError } from "../contract/errors.ts";

/**
 * Stands in one direction between the two: it gets each chunk, and writes what is to go on instead. It may write at any
 * time; what it throws ends both sides.
 */
export type Through = (write: (bytes: Buffer) => void) => (chunk: Buffer) => void;

/**
 * Copies both ways until both have ended. Either side may end first: the other direction goes on. A side that closes
 * after it has sent everything is heard to the end, however slowly the other one reads; a side that fails, or closes in
 * the middle, ends both. Back-pressure passes through.
 *
 * This is the only place where two streams meet, so no stream is ever without an error handler. It is not built on
 * `pipeline`, which destroys both of its streams when one direction breaks, with what is still to be delivered in the
 * other (ssh2's channels close both directions at once).
 *
 * @param onEnd called once, when nothing flows any more and both are destroyed, with the failure if there was one
 * @param through what stands in the way to the right and to the left, if anything does
 */
export function join(
  left: Duplex,
  right: Duplex,
  onEnd: (failure?: Error) => void = () => {},
  through: { toRight?: Through; toLeft?: Through } = {},
): void {
  const sides = [new Side(left), new Side(right)] as const;
  let over = false;
  const end = (failure?: Error) => {
    if (over) return;
    over = true;
    left.destroy();
    right.destroy();
    onEnd(failure);
  };
  copy(sides[0], sides[1], end, through.toRight);
  copy(sides[1], sides[0], end, through.toLeft);
  if (left.destroyed || right.destroyed) {
    end(closedEarly());
    return;
  }
  // Whoever waited for the other side may have stood still.
  left.resume();
  right.resume();
}

function closedEarly(): PluginError {
  return new PluginError("closed", "A stream was closed before its end.");
}

/** What has happened to one of the two. */
class Side {
  readonly stream: Duplex;
  /** It has sent everything. */
  ended = false;
  /** Everything that was written to it, and the end, has left. */
  finished = false;
  closed = false;

  constructor(stream: Duplex) {
    this.stream = stream;
  }

  /** Nothing more can be written to it. */
  get deaf(): boolean {
    return this.finished || this.closed;
  }
}

function copy(from: Side, to: Side, end: (failure?: Error) => void, through: Through = (write) => write): void {
  const endIfDone = () => {
    if ((from.ended || to.closed) && (to.ended || from.closed) && from.deaf && to.deaf) end();
  };
  from.stream.on("error", end);
  const pass = through((bytes) => {
    // What is sent to somebody who has closed is read all the same, so that the sender's end is heard.
    if (!to.closed && to.stream.writable && !to.stream.write(bytes)) from.stream.pause();
  });
  from.stream.on("data", (chunk: Buffer) => {
    try {
      pass(chunk);
    } catch (failure) {
      end(failure as Error);
    }
  });
  to.stream.on("drain", () => from.stream.resume());
  const hearEnd = () => {
    if (!from.ended && !to.closed) to.stream.end();
    from.ended = true;
    endIfDone();
  };
  from.stream.on("end", hearEnd);
  to.stream.on("finish", () => {
    to.finished = true;
    endIfDone();
  });
  from.stream.on("close", () => {
    from.closed = true;
    // It may have been asked to close at its end before we were asked to hear that end.
    if (from.stream.readableEnded) hearEnd();
    if (!from.ended) return end(from.stream.errored ?? closedEarly());
    to.stream.resume();
    endIfDone();
  });
}
