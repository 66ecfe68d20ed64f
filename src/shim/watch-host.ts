/** How often the parent is looked at. */
const INTERVAL_MS = 500;

/**
 * Calls `onGone` once when the process that started this one has ended: the kernel gives its children another parent
 * then. No file tells of it, since a pipe that is only written to says nothing until the next write.
 *
 * @returns stops looking
 */
export function watchHost(onGone: () => void): () => void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
