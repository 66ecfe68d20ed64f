/** How long something may take before it is told. */
const SLOW_MS = 500;

/** Tells what is being done, if it takes long enough for somebody to wonder. */
export interface Slowly extends Disposable {
  /** From now on, this is what is done. */
  phase: (text: string) => void;
  /** Nothing is done any more. */
  done: () => void;
}

/** Passes on each phase that goes on for half a second, and no other. */
export function slowly(tell: (text: string) => void): Slowly {
  let timer: NodeJS.Timeout | undefined;
  const done = () => clearTimeout(timer);
  const phase = (text: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => tell(`${text} …`), SLOW_MS);
  };
  return { phase, done, [Symbol.dispose]: done };
}
