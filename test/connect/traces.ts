import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { eventually } from "../tools/eventually.ts";

/** Kinds that come and go with the test runner itself. Timers are looked at one by one. */
const NOT_OURS = new Set(["FSReqPromise", "FSReqCallback", "CloseReq", "Timeout", "Immediate"]);

/** What Node's hooks see of a timer. */
interface Timer {
  readonly _destroyed: boolean;
  hasRef(): boolean;
}

/**
 * Runs `task`, then waits until no socket, listener or request is open in this process that was not open before, and
 * no timer runs that was started by the task or by anything that it has started.
 *
 * @throws {Error} if something stays, or if Node warned of something, such as too many listeners
 */
export async function leavesNoTrace<T>(task: () => Promise<T>): Promise<T> {
  const before = open();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  const timers = new Set<Timer>();
  const inTask = new AsyncLocalStorage<true>();
  const hook = createHook({
    init: (_id, type, _trigger, resource) => {
      if (type === "Timeout" && inTask.getStore()) timers.add(resource as Timer);
    },
  }).enable();
  try {
    const result = await inTask.run(true, task);
    if (warnings.length > 0) throw new AggregateError(warnings, String(warnings[0]));
    const running = () => [...timers].filter((timer) => !timer._destroyed && timer.hasRef());
    await eventually(
      () => running().length === 0 && Object.entries(open()).every(([kind, count]) => count <= (before[kind] ?? 0)),
      { what: "everything to be closed", state: () => ({ before, after: open(), timers: running() }) },
    );
    return result;
  } finally {
    hook.disable();
    process.off("warning", onWarning);
  }
}

/** How many of each kind are open, by the names that Node has for them. */
function open(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (!NOT_OURS.has(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
