import type { PassThrough } from "node:stream";
import createDebug from "debug";
import type { ExecChannel } from "../contract/connection.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { within } from "../lifetime/deadline.ts";
import type { Tail } from "../lifetime/tail.ts";
import { afterMark, type MarkedStream } from "./after-mark.ts";
import { type Launch, type LaunchSpec, launch } from "./launch.ts";
import { EXEC_REQUEST } from "./loader.ts";
import type { Exec } from "./run-program.ts";
import type { SpareSupervisor } from "./spare-supervisor.ts";
import { noReport } from "./start-report.ts";

const debug = createDebug("go-plugin-ssh:exec");

/** How soon the status of a command is known whose output has ended. */
const STATUS_MS = 3_000;

/** What begins with a start, apart from the plugin. */
export interface Beginning {
  spec: LaunchSpec;
  exec: Exec;
  /** A supervisor that waits already, made for the same care; nobody else will take it. */
  spare: SpareSupervisor | undefined;
  stdout: PassThrough;
  stderr: PassThrough;
  /** Gets what comes before the report, to be quoted. */
  noise: Tail[];
  /** Told of each channel that the plugin may be on, the moment that there is one. */
  onChannel: (channel: ExecChannel, output: { stdout: MarkedStream; stderr: MarkedStream }) => void;
}

/**
 * Has a supervisor start a plugin: one that waits, or else a new one. Gives its report.
 *
 * @throws {PluginError} `plugin-not-started` if none comes; what `exec` threw; the reason of `over`
 */
export async function begin(beginning: Beginning, over: AbortSignal): Promise<string> {
  const { exec, spec, spare, noise } = beginning;
  if (spare) {
    spare.take();
    const report = await reportOf(spare.channel, spare.launch(spec), beginning, "go on");
    if (report !== undefined) return report;
    // It had ended, and the word of that was under way. No plugin was started: that is what the report is for.
    debug("a spare supervisor had gone: %s", noise.map(String).join("").trim());
    abandon(spare.channel);
    noise.length = 0;
    if (over.aborted) throw over.reason;
  }
  const channel = await exec(EXEC_REQUEST, over);
  if (over.aborted) {
    abandon(channel);
    throw over.reason;
  }
  channel.stdin.on("error", (failure) => debug("stdin: %s", failure.message));
  const report = await reportOf(channel, launch(spec), beginning, "end");
  if (report === undefined) throw noReport(await soon(channel.exited), noise, spec.environment);
  return report;
}

/** Lets go of a channel whose plugin is not wanted: the end of its input makes the supervisor end everything. */
export function abandon(channel: ExecChannel): void {
  channel.stdin.on("error", () => {});
  channel.stdin.end();
  channel.stdout.on("error", () => {}).resume();
  channel.stderr.on("error", () => {}).resume();
}

function reportOf(
  channel: ExecChannel,
  { mark, text }: Launch,
  { stdout, stderr, noise, onChannel }: Beginning,
  ifMissing: "end" | "go on",
): Promise<string | undefined> {
  const out = afterMark(channel.stdout, mark, stdout, ifMissing);
  const err = afterMark(channel.stderr, mark, stderr, ifMissing);
  noise.push(out.noise, err.noise);
  onChannel(channel, { stdout: out, stderr: err });
  channel.stdin.write(text);
  return out.report;
}

/** What a promise gives, or `undefined` if it does not settle soon. */
function soon(promise: Promise<ExitStatus | undefined>): Promise<ExitStatus | undefined> {
  return within({ timeoutMs: STATUS_MS }, () => promise).catch(() => undefined);
}
