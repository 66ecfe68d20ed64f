import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Bench, connectTo } from "../contract/runner-kinds.ts";

const SCRIPT = fileURLToPath(new URL("../fixtures/host-that-forwards.mjs", import.meta.url));

/** What a host holds on to. */
export interface Held {
  /** The most memory it ever had, in MiB: its peak resident set. */
  readonly peakMb: number;
  /** What it cannot let go of now, in MiB. */
  readonly heldMb: number;
  /** Who waits for the loss of its connection. */
  readonly listeners: number;
  /** Its open files and sockets. */
  readonly descriptors: number;
  /** What Node warned of. */
  readonly warnings: readonly string[];
}

/** A host in a process of its own, with the plugin `moves-bytes.mjs` and one forward. Disposing it kills the plugin. */
export interface ForwardingHost extends AsyncDisposable {
  /** The plugin's socket on the box. */
  readonly plugin: string;
  /** The forward's socket. */
  readonly host: string;
  look(): Promise<Held>;
}

/** Starts a host as users have it, from the build in `dist`. */
export async function startHost(bench: Bench, dist: string): Promise<ForwardingHost> {
  if (!bench.server) throw new TypeError("This bench has no server.");
  const library = pathToFileURL(join(dist, "index.js")).href;
  const child = spawn(process.execPath, ["--expose-gc", SCRIPT, library], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => {});
  const closed = once(child, "close");
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: unknown) => {
    child.stdin.write(`${JSON.stringify(line)}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error("The host has ended.");
    return JSON.parse(value);
  };
  const orders = { ...connectTo(bench.server), command: bench.command("moves-bytes.mjs"), directoryBase: bench.boxTmp };
  const { plugin, host } = await ask(orders);
  return {
    plugin,
    host,
    look: () => ask("look"),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      const [code] = await closed;
      if (code !== 0) throw new Error(`The host ended with ${code}.`);
    },
  };
}
