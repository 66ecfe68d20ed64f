import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./wan.py", import.meta.url));
let made = 0;

/** What a link is like, in each direction. */
export interface WanOptions {
  /** One way; half the round trip. */
  delayMs: number;
  lossPercent: number;
  rateMbit: number;
}

/** A network namespace at the other end of a long link. Disposing it removes both; who runs in it must be gone. */
export interface Wan extends AsyncDisposable {
  /** The address of the other end. */
  readonly address: string;
  /** What starts a command there. */
  readonly inside: readonly string[];
  /** Lets nothing pass any more, and nobody is told: a pulled cable. */
  cut(): void;
  /** Undoes `cut`. */
  heal(): void;
}

/** Makes a link for TCP to suffer from. Needs root, iproute2, python3 and /dev/net/tun: the tier `netns`. */
export async function startWan({ delayMs, lossPercent, rateMbit }: WanOptions): Promise<Wan> {
  made += 1;
  const name = `gps${process.pid}x${made}`;
  // A network for measurements (RFC 2544), and in it a pair of addresses that no other process here has: those that test
  // at once have numbers, and some of the pid keeps others apart.
  const worker = Number(process.env.VITEST_POOL_ID ?? 0) % 8;
  const pair = (worker * 512 + (process.pid % 512)) * 8 + (made % 8);
  const at = (host: number) => `198.${18 + (pair >> 14)}.${(pair >> 6) & 255}.${(pair & 63) * 4 + host}`;
  const device = `wan${(process.pid % 1_000_000).toString(36)}${made}`;
  const child = spawn("python3", [PROGRAM, name, at(1), at(2), device], { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => {});
  const closed = once(child, "close");
  const said = text(child.stderr);
  const ready = once(child.stdout, "data").then(() => true);
  if (!(await Promise.race([ready, closed.then(() => false)]))) {
    throw new Error(`The link was not made:\n${await said}`);
  }
  const say = (line: string) => void child.stdin.write(`${line}\n`);
  for (const line of [`delay ${delayMs}`, `loss ${lossPercent}`, `rate ${rateMbit}`]) say(line);
  return {
    address: at(2),
    inside: ["ip", "netns", "exec", name],
    cut: () => say("cut"),
    heal: () => say("heal"),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      const [code] = await closed;
      if (code !== 0) throw new Error(`The link was not taken down:\n${await said}`);
    },
  };
}
