import type { Readable } from "node:stream";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { within } from "../lifetime/deadline.ts";
import { type FirstLine, firstLine, type Heard } from "./first-line.ts";
import { hasHandshakeFields } from "./handshake-line.ts";
import { unrecognizedMessage } from "./unrecognized-message.ts";

/** A plugin that is starting. */
export interface StartingPlugin {
  /** The plugin's stdout, from which nothing has been read yet. */
  stdout: Readable;
  /** How the plugin ended. May reject with a `PluginError`, such as `connection-lost` or `plugin-not-started`. */
  exited: Promise<ExitStatus>;
  /** How long the line may take, in milliseconds; 0: as long as it likes. go-plugin's `StartTimeout` is 60,000. */
  timeoutMs: number;
  /** Gives up waiting. */
  signal?: AbortSignal | undefined;
  /** Asked why there is no handshake, if there is none. See `Runner.diagnose`. */
  diagnose: (signal?: AbortSignal) => Promise<string>;
}

/** Exit and output come by different ways. After the exit, the output is under way and gets this long. */
const OUTPUT_MS = 5_000;
/** After the end of the output, the exit is, and a runner may look at the box before it tells of one. */
const EXIT_MS = 16_000;
/** A line that is there counts, unless the link broke, which is known sooner. */
const LINK_MS = 2_000;

/** A diagnosis is a courtesy: the error does not wait longer for it. */
const DIAGNOSIS_MS = 5_000;

/**
 * Waits for the handshake line, or for the first reason why none will come. Resolves with the first line of stdout,
 * without white space around it, which has at least the four fields that every handshake line has. A last line without
 * a line end counts, as in go-plugin.
 *
 * Whatever the outcome, stdout flows on into nothing afterwards.
 *
 * @throws {PluginError} `timeout` if no line came in time; `aborted` for the signal; what `exited` rejected with;
 *   `handshake-failed`, with go-plugin's text and the diagnosis, if the plugin ended, closed its stdout or wrote
 *   something else
 */
export async function readHandshakeLine(plugin: StartingPlugin): Promise<string> {
  const { exited, signal, timeoutMs } = plugin;
  const began = performance.now();
  exited.catch(() => {});
  const first = firstLine(plugin.stdout);
  try {
    const heard = (await lineOrExit(first, plugin)) ?? (await lastWords(first, signal));
    const line = heard.text.trim();
    const isLine = heard.how !== "too-long" && hasHandshakeFields(line);
    // A link that broke also ends stdout, in the middle of the line perhaps.
    if (heard.how === "end") {
      // What is known must be told before the deadline, and looking for the cause takes its time as well.
      const leftMs = timeoutMs > 0 ? timeoutMs - (performance.now() - began) - DIAGNOSIS_MS : EXIT_MS;
      await patiently(exited, isLine ? LINK_MS : Math.max(LINK_MS, Math.min(EXIT_MS, leftMs)), signal);
    }
    if (isLine) return line;
    const ended = heard.how !== "line";
    const diagnosis = await diagnosed(plugin);
    throw unrecognizedMessage(line, { ended, diagnosis, cause: heard.failure });
  } finally {
    first.stop();
  }
}

/** Resolves with what was heard, or with `undefined` if the plugin ended before anything was decided. */
function lineOrExit(first: FirstLine, { exited, timeoutMs, signal }: StartingPlugin): Promise<Heard | undefined> {
  const onTimeout = () =>
    new PluginError("timeout", "timeout while waiting for plugin to start", {
      hint: `No line came on its stdout within ${timeoutMs} ms. If it is only slow, allow it more time.`,
    });
  return within({ timeoutMs, signal, onTimeout }, () => Promise.race([first.heard, exited.then(() => undefined)]));
}

/** What a plugin that has exited still had to say. A descendant of it may hold its stdout open for ever. */
async function lastWords(first: FirstLine, signal: AbortSignal | undefined): Promise<Heard> {
  await patiently(first.heard, OUTPUT_MS, signal);
  first.stop();
  return first.heard;
}

/** Waits for `news`, but not for long. */
async function patiently(news: Promise<unknown>, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  const enough = new PluginError("timeout", `Nothing came within ${timeoutMs} ms.`);
  await within({ timeoutMs, signal, onTimeout: () => enough }, () => news).catch((failure) => {
    if (failure !== enough) throw failure;
  });
}

/** The diagnosis, or nothing if it fails or takes too long: it must not hide the error that it belongs to. */
function diagnosed({ diagnose, signal }: StartingPlugin): Promise<string> {
  return within({ timeoutMs: DIAGNOSIS_MS, signal }, async (over) => String(await diagnose(over))).catch(() => "");
}
