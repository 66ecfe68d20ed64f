const turns = new Map<string, Promise<void>>();

/** Runs `task` when every earlier one of the same `name` in this process has settled, and gives what it gives. */
export function inTurn<T>(name: string, task: () => Promise<T>): Promise<T> {
  const turn = (turns.get(name) ?? Promise.resolve()).then(task);
  const over: Promise<void> = turn
    .then(
      () => {},
      () => {},
    )
    .then(() => {
      if (turns.get(name) === over) turns.delete(name);
    });
  turns.set(name, over);
  return turn;
}
