import createDebug from "debug";

const debug = createDebug("go-plugin-ssh:client");

/** What ends a process in an orderly way, unless somebody listens. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A client as this file sees it. */
interface Killable {
  kill(): Promise<void>;
}

const clients = new Set<Killable>();

/** Puts a client under the care of {@link cleanupClients} and of the signals that end this process. */
export function manage(client: Killable): void {
  if (clients.size === 0) for (const signal of SIGNALS) process.on(signal, endWith);
  clients.add(client);
}

/** Takes a client out again, when its plugin is gone. */
export function release(client: Killable): void {
  if (clients.delete(client) && clients.size === 0) for (const signal of SIGNALS) process.off(signal, endWith);
}

/**
 * Kills every client that was made with `managed: true`, all at once, and waits for all. Same as go-plugin's
 * `CleanupClients`. Also done when SIGINT, SIGTERM or SIGHUP ends this process.
 *
 * @throws the first failure of a kill, after all were tried
 */
export async function cleanupClients(): Promise<void> {
  const outcomes = await Promise.allSettled([...clients].map((client) => client.kill()));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

/** Ends the plugins, then this process, by the same signal; if others listen to it, its end is their affair. */
function endWith(signal: NodeJS.Signals): void {
  const others = process.listeners(signal).length > 1;
  cleanupClients()
    .catch((failure) => debug("cleanup at %s: %s", signal, failure.message))
    .then(() => {
      if (others) return;
      process.off(signal, endWith);
      process.kill(process.pid, signal);
    });
}
