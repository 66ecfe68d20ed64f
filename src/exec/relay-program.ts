import { PassThrough, type Readable, Writable } from "node:stream";
import type { Address } from "../contract/address.ts";
import type { ExecChannel } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { afterMark } from "./after-mark.ts";
import { EXEC_REQUEST, frame, randomWord, readProgram, readScript } from "./loader.ts";
import { quote } from "./quote.ts";
import type { RelayTool } from "./relay-tool.ts";
import type { Exec } from "./run-program.ts";

/**
 * The interpreters, and how each reads its program from stdin in one go: a shell would take it byte by byte, which
 * costs more than all the rest. What follows the program is not touched.
 */
const INTERPRETERS: Partial<Record<RelayTool, { extension: string; boot: (length: number) => string }>> = {
  python3: {
    extension: "py",
    boot: (length) =>
      `import os\np = b""\nwhile len(p) < ${length}:\n r = os.read(0, ${length} - len(p))\n r or os._exit(1)\n p += r\nexec(p)`,
  },
  perl: {
    extension: "pl",
    boot: (length) =>
      `my $p = ""; while (length $p < ${length}) { sysread(STDIN, $p, ${length} - length $p, length $p) or exit 1 } ` +
      "eval $p; die $@ if $@",
  },
};

/** A relay on the box that has said its first word. */
export interface RunningRelay {
  readonly channel: ExecChannel;
  /** What follows the first line of its stdout. Ends in every case. */
  readonly output: Readable;
  /** The first line, without the mark: `open`, `listening 4711`, `failed why`. */
  readonly word: string;
  /**
   * The line that it says on stderr when all has gone to its stdout that ever will: `end 4711`, `broke 4711`, with the
   * number of bytes after the first line. `undefined` if it ends without, as all but the interpreters do.
   */
  readonly lastWord: Promise<string | undefined>;
}

/** What a relay shall do. */
export interface RelayOrder {
  tool: RelayTool;
  task: "connect" | "listen";
  address: Address;
  /** Where a listener is met by other relays: the path of a socket. */
  meeting?: string;
}

/**
 * Starts a relay in a channel of its own and waits for its first word.
 *
 * @param signal ends it until it has spoken
 * @throws {PluginError} `forward-failed` with what the box said instead, or what `exec` threw
 */
export async function startRelay(exec: Exec, order: RelayOrder, signal: AbortSignal): Promise<RunningRelay> {
  const channel = await exec(EXEC_REQUEST, signal);
  const output = new PassThrough();
  output.on("error", () => {});
  channel.stdin.on("error", () => {});
  const stop = () => endChannel(channel);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    const mark = randomWord();
    const said = afterMark(channel.stdout, mark, output);
    const aside = afterMark(channel.stderr, mark, nowhere());
    channel.stdin.write(relayText(order, mark));
    const word = await said.report;
    signal.throwIfAborted();
    if (word !== undefined) return { channel, output, word, lastWord: aside.report };
    const noise = String(aside.noise).trim();
    throw new PluginError("forward-failed", `A relay on the box (${order.tool}) ended before it began.`, {
      hint: noise && `The box said: ${noise}`,
    });
  } catch (failure) {
    stop();
    throw failure;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Ends a relay's channel, and the relay: it may be waiting for its plugin alone. */
export function endChannel(channel: ExecChannel): void {
  channel.signal("TERM");
  channel.close();
  // A channel is over when all of it has been read.
  channel.stdout.on("error", () => {}).resume();
  channel.stderr.on("error", () => {}).resume();
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

/** The document for the loader, and behind it what an interpreter reads. */
function relayText({ tool, task, address, meeting = "" }: RelayOrder, mark: string): string {
  const interpreter = INTERPRETERS[tool];
  const names = interpreter ? ["carry", task].map((part) => `relay-${part}.${interpreter.extension}`) : [];
  const program = names.map(readScript).join("");
  const variables = {
    gps_mark: mark,
    gps_tool: tool,
    gps_network: address.network,
    gps_address: address.network === "unix" ? address.path : address.host,
    gps_port: address.network === "unix" ? "" : String(address.port),
    gps_meeting: meeting,
    gps_boot: interpreter?.boot(Buffer.byteLength(program)) ?? "",
  };
  const head = Object.entries(variables).map(([name, value]) => `${name}=${value && quote(value)}`);
  return frame([...head, readProgram("relay.sh")].join("\n")) + program;
}
