import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";

/** A listener that is gone for so long does no harm. */
const LOOK_MS = 1_000;

/** Who wants to know of a path, and whether anything has been seen there. */
interface Watch {
  readonly told: Set<() => void>;
  wasThere: boolean;
}

const watches = new Map<string, Watch>();
let timer: NodeJS.Timeout | undefined;

/**
 * Calls `onGone` once when nothing lies at `path` any more, after something did: whoever listened on that unix socket has
 * closed it, for Go and Node remove the file then. It is looked at once a second; nobody tells, and a connection to try it
 * would be noticed. The process is not kept alive for it.
 *
 * @returns ends the watch
 */
export function whenSocketGone(path: string, onGone: () => void): () => void {
  // It may be there for less than a second.
  const watch = watches.get(path) ?? { told: new Set(), wasThere: existsSync(path) };
  watch.told.add(onGone);
  watches.set(path, watch);
  timer ??= setInterval(lookAtAll, LOOK_MS).unref();
  return () => {
    watch.told.delete(onGone);
    if (watch.told.size === 0) forget(path, watch);
  };
}

function lookAtAll(): void {
  for (const [path, watch] of watches) void lookAt(path, watch);
}

async function lookAt(path: string, watch: Watch): Promise<void> {
  const isThere = await exists(path);
  watch.wasThere ||= isThere;
  if (isThere || !watch.wasThere || !forget(path, watch)) return;
  for (const tell of watch.told) tell();
}

/** Whether it was still watched. */
function forget(path: string, watch: Watch): boolean {
  if (watches.get(path) !== watch) return false;
  watches.delete(path);
  if (watches.size === 0) {
    clearInterval(timer);
    timer = undefined;
  }
  return true;
}

/** Whatever else than "not there" is no news. */
async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (failure: NodeJS.ErrnoException) => failure.code !== "ENOENT",
  );
}
