import { statSync } from "node:fs";
import { connect } from "node:net";
import { type Address, formatAddress } from "../../contract/address.ts";
import { PluginError } from "../../contract/errors.ts";
import type { ReattachFunc } from "../../contract/runner.ts";
import { within } from "../../lifetime/deadline.ts";
import { AttachedProcess } from "./attached-process.ts";
import { lookAtProcess } from "./look-at-process.ts";

/** How long looking for the process may take, with a connection to its address. */
const ATTACH_MS = 10_000;
/** As often as go-plugin. */
const POLL_INTERVAL_MS = 1_000;

const OTHER_ACCOUNT = "Attach under the account that started it.";

/** Which process of this machine is the plugin. */
export interface AttachProcessOptions {
  /** Its process id. */
  pid: number;
  /** When it started, as `AttachedRunner.process` or a `ReattachConfig` tells. @default nobody has said */
  startTime?: string | undefined;
  /** Where it listens. */
  addr: Address;
  /** The box that a `ReattachConfig` names. A pid there says nothing about a process here, so it is refused. */
  destination?: string | undefined;
  /**
   * Connects to `addr` once and hangs up, as go-plugin does, in order to see that somebody serves there. A plugin that
   * multiplexes its broker takes that for its host, and ends.
   * @default only if there is no `startTime`
   */
  probe?: boolean;
  /** How often `wait` looks whether it still runs. @default 1_000 */
  pollIntervalMs?: number;
}

/**
 * Makes the function that finds a plugin of this machine by its process. It rejects with `not-found`
 * (`reattachment process not found`) if there is no such process, if another one has got its pid, or if nothing listens at
 * its address; with `unsupported` if the system hides when the process started. Nothing is ended then.
 *
 * What it gives knows how to wait for the process and how to kill it, but never how it ended.
 *
 * @throws {PluginError} `bad-options`
 */
export function attachProcess(options: AttachProcessOptions): ReattachFunc {
  const { pid, startTime, addr, probe = startTime === undefined, pollIntervalMs = POLL_INTERVAL_MS } = options;
  if (options.destination !== undefined) {
    throw new PluginError("bad-options", `The plugin runs on ${options.destination}, not on this machine.`, {
      hint: "Its pid belongs to somebody else here. A `ReattachFunc` of your own has to find it there.",
    });
  }
  // 0 and below stand for whole groups of processes.
  if (!Number.isSafeInteger(pid) || pid < 1) refuse("pid", "the number of a process", pid);
  if (!(Number.isFinite(pollIntervalMs) && pollIntervalMs > 0)) {
    refuse("pollIntervalMs", "a positive number of milliseconds", pollIntervalMs);
  }
  return (signal) => {
    const onTimeout = () => new PluginError("timeout", `The plugin was not found within ${ATTACH_MS} ms.`);
    return within({ signal, timeoutMs: ATTACH_MS, onTimeout }, async (over) => {
      const found = await find(pid, startTime);
      checkSocket(addr);
      over.throwIfAborted();
      if (probe) await touch(addr, over);
      return new AttachedProcess(pid, found, pollIntervalMs);
    });
  };
}

/** When the process started that has the pid, which is when it should have. */
async function find(pid: number, startTime: string | undefined): Promise<string | undefined> {
  const sight = await lookAtProcess(pid);
  if (!sight.isAlive) throw notFound(`there is no process ${pid}`);
  if (startTime === undefined || sight.startTime === startTime) return sight.startTime;
  if (sight.startTime !== undefined) throw notFound(`the process ${pid} is another one, which has got its pid`);
  throw new PluginError("unsupported", `The system does not tell when the process ${pid} started.`, {
    hint: OTHER_ACCOUNT,
  });
}

/** A socket can be seen to be there without being touched. */
function checkSocket(addr: Address): void {
  if (addr.network !== "unix") return;
  let isSocket = false;
  try {
    isSocket = statSync(addr.path).isSocket();
  } catch (cause) {
    const isHidden = (cause as NodeJS.ErrnoException).code === "EACCES";
    if (isHidden) throw notFound(`this account may not look for ${addr.path}`, cause, OTHER_ACCOUNT);
    throw notFound(`there is no socket ${addr.path}`, cause);
  }
  if (!isSocket) throw notFound(`${addr.path} is no socket`);
}

function touch(addr: Address, over: AbortSignal): Promise<void> {
  const to = addr.network === "unix" ? { path: addr.path } : { host: addr.host || "127.0.0.1", port: addr.port };
  return new Promise((resolve, reject) => {
    const socket = connect(to, () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", (cause) => reject(notFound(`nobody answers at ${formatAddress(addr)}`, cause)));
    over.addEventListener("abort", () => socket.destroy(), { once: true });
  });
}

function notFound(why: string, cause?: unknown, hint = "The plugin has ended; start it again."): PluginError {
  return new PluginError("not-found", `reattachment process not found: ${why}.`, {
    hint,
    cause,
  });
}

function refuse(name: string, wanted: string, value: unknown): never {
  throw new PluginError("bad-options", `\`${name}\` must be ${wanted}, not ${JSON.stringify(value)}.`);
}
