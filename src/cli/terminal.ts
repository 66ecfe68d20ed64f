import { closeSync, openSync, writeSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { ReadStream } from "node:tty";
import { within } from "../lifetime/deadline.ts";
import { LineEditor } from "./line-editor.ts";

/** The terminal of whoever started this process, wherever stdin and stdout lead. */
const TERMINAL = "/dev/tty";

/** What is to be asked. */
export interface Question {
  /** Safe to print. It may have several lines; the answer is typed behind the last. */
  readonly text: string;
  /** Whether the answer may be seen while it is typed. */
  readonly echo: boolean;
  readonly signal: AbortSignal;
}

/** Whether there is a terminal to ask on. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync(TERMINAL, "r+"));
    return true;
  } catch {
    return false;
  }
}

/**
 * Asks on the terminal. `undefined` if there is no answer: Control-D, or a terminal that is gone. Control-C interrupts
 * this process as it always does. The terminal is as before on every path.
 *
 * @throws {PluginError} `aborted` for the signal
 */
export function askOnTerminal({ text, echo, signal }: Question): Promise<string | undefined> {
  const output = openSync(TERMINAL, "w");
  const input = new ReadStream(openSync(TERMINAL, "r"));
  const show = (what: string) => write(output, what);
  const editor = new LineEditor(echo ? show : () => {});
  const decoder = new StringDecoder("utf8");
  const answered = within(
    { signal },
    (over) =>
      new Promise<string | undefined>((resolve) => {
        const stop = () => {
          restore(input);
          show("\n");
        };
        // The interrupt ends the wait, by way of the signal.
        const interrupt = () => {
          restore(input);
          process.kill(process.pid, "SIGINT");
        };
        over.addEventListener("abort", stop, { once: true });
        input.on("error", () => resolve(undefined)).once("end", () => resolve(undefined));
        input.setRawMode(true);
        input.on("data", (chunk: Buffer) => {
          const state = editor.press(decoder.write(chunk));
          if (state.is === "done") resolve(state.line);
          if (state.is === "given-up") resolve(undefined);
          if (state.is === "interrupted") interrupt();
        });
        show(`\r${text}`);
      }),
  );
  return answered.finally(() => closeSync(output));
}

/** Makes the terminal as it was, and lets go of it. */
function restore(input: ReadStream): void {
  if (input.destroyed) return;
  try {
    input.setRawMode(false);
  } catch {
    // The terminal is gone, and its settings with it.
  }
  input.destroy();
}

/** A terminal that is gone shows nothing; that becomes known by the reading. */
function write(output: number, text: string): void {
  try {
    writeSync(output, text);
  } catch {}
}
