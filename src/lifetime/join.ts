import { type Duplex, pipeline } from "node:stream";

/**
 * Copies both ways until both have ended. Either side may end first: the other direction goes on. Either side's
 * failure ends both. Back-pressure passes through.
 *
 * This is the only place where two streams meet, so no stream is ever without an error handler.
 *
 * @param onEnd called once, when nothing flows any more, with the first failure if there was one
 */
export function join(left: Duplex, right: Duplex, onEnd: (failure?: Error) => void = () => {}): void {
  let first: Error | undefined;
  let open = 2;
  const settle = (failure?: Error | null) => {
    first ??= failure ?? undefined;
    if (failure) {
      left.destroy();
      right.destroy();
    }
    open -= 1;
    if (open === 0) onEnd(first);
  };
  pipeline(left, right, settle);
  pipeline(right, left, settle);
}
