import { consoleLogger } from "../client/log/console-logger.ts";
import type { LogLevel } from "../client/log/logger.ts";
import { readPluginLog } from "../client/log/read-plugin-log.ts";
import type { Address } from "../index.ts";
import { exitCodeOf } from "../shim/exit-codes.ts";
import { OnBox, type StartedOnBox } from "../shim/on-box.ts";
import type { ShimSettings } from "../shim/settings.ts";
import { interruption } from "./interruption.ts";
import { promptOptions } from "./prompts.ts";
import { slowly } from "./slowly.ts";

/** From the start to the handshake line, unless told otherwise. */
export const START_TIMEOUT_SECONDS = 60;

/** A plugin that a person runs. */
export interface Attended {
  settings: ShimSettings;
  /** What the plugin is told. */
  variables: Readonly<Record<string, string>>;
  /** The least urgent line of the plugin's log that is shown. */
  logLevel: LogLevel;
  /** Refuses a plugin that is of no use here, before it is announced. */
  check?: (started: StartedOnBox) => void;
  /** Tells where the plugin is reached now. */
  announce: (started: StartedOnBox, address: Address) => void;
}

/**
 * Starts a plugin on a box, announces it, shows its log on stderr and waits until it ends, or the user ends it.
 *
 * @returns the exit code: the plugin's own, or 0 if it was ended as asked
 * @throws {PluginError} if it did not come up, or the connection broke
 */
export async function attend({ settings, variables, logLevel, check, announce }: Attended): Promise<number> {
  using interrupted = interruption((text) => say(text));
  using progress = slowly(say);
  const onBox = new OnBox({
    settings,
    timeoutMs: settings.startTimeoutMs ?? START_TIMEOUT_SECONDS * 1000,
    onRunner: (runner) => {
      const logger = consoleLogger({ level: logLevel });
      void readPluginLog({ stderr: runner.stderr, logger, name: runner.name });
    },
    onPhase: progress.phase,
    onNotice: say,
    prompts: promptOptions(),
  });
  /** A plugin that has ended by itself meanwhile has failed at nothing else. */
  const unlessEnded = async (failure: unknown) => {
    if (!(await onBox.ownEnd())) throw failure;
  };
  let isUp = false;
  try {
    await onBox.connect(interrupted.signal);
    const started = await onBox.start(variables, interrupted.signal);
    check?.(started);
    const address = await started.runner.pluginToHost(started.handshake.address, interrupted.signal).catch(unlessEnded);
    progress.done();
    if (address) announce(started, address);
    isUp = true;
    const exit = await started.runner.wait(interrupted.signal);
    say(`The plugin has ended with ${exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`}.`);
    return exitCodeOf(exit);
  } catch (failure) {
    if (isUp && interrupted.signal.aborted) return 0;
    throw interrupted.instead(failure);
  } finally {
    progress.done();
    await onBox.end();
  }
}

/** To people, on stderr: stdout is for what was asked for. */
export function say(text: string): void {
  process.stderr.write(`go-plugin-ssh: ${text}\n`);
}
