/**
 * Calls `expired` when so much time has passed, and what has come by then has been read: after a hold-up of the whole
 * process, timers come before the answers that have been there for long.
 *
 * @returns undoes it, at any moment
 */
export function afterDeadline(timeoutMs: number, expired: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(expired);
  }, timeoutMs);
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}
