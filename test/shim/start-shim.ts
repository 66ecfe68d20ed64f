import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Transport } from "@connectrpc/connect";
import { type KvServices, servicesOf } from "../plugins/kv-services.ts";
import { dialTo } from "../plugins/started-kv.ts";
import type { TestServer } from "../servers/server.ts";
import { built } from "../tools/built.ts";
import type { UserHome } from "../tools/user-home.ts";

/** What a go-plugin host sets for `kv`, in its order. */
export const HOST_VARIABLES: Readonly<Record<string, string>> = {
  KV_PLUGIN_COOKIE: "kv",
  PLUGIN_MIN_PORT: "10000",
  PLUGIN_MAX_PORT: "25000",
  PLUGIN_PROTOCOL_VERSIONS: "1",
};

/** How a shim is started. */
export interface ShimStart {
  user: UserHome;
  server: Pick<TestServer, "user" | "host" | "port">;
  /** Between the destination and `--`. @default ["--carry", "pass"] */
  flags?: readonly string[];
  /** The plugin on the box. */
  command: readonly string[];
  /** What the host sets, in this order. @default HOST_VARIABLES */
  variables?: Readonly<Record<string, string>>;
  /** What else is in the environment, in front of that. */
  environment?: Readonly<Record<string, string>>;
}

/** A shim that a test has started in a host's place. */
export interface StartedShim {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly stderrBytes: () => Buffer;
  /** Lines of its own that stderr holds. */
  readonly log: () => LogLine[];
  /** Its handshake line, in fields; rejects if it ends without one. */
  readonly handshake: Promise<string[]>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Stops reading its stderr, or goes on. */
  readonly read: (goOn: boolean) => void;
}

/** A line in hclog's form. */
export type LogLine = Readonly<Record<string, unknown>> & { "@level": string; "@message": string };

/** The words that reach a test server. */
export function destination({ user, host, port }: ShimStart["server"]): string {
  return `ssh://${user}@${host}:${port}`;
}

/** The command line of such a shim, Node first. */
export function shimWords({ server, flags = ["--carry", "pass"], command }: ShimStart): string[] {
  return [join(built(), "go-plugin-ssh.js"), "shim", destination(server), ...flags, "--", ...command];
}

/** Starts a shim as a Go host would: with pipes, and its variables last. */
export function startShim(start: ShimStart): StartedShim {
  const { user, variables = HOST_VARIABLES, environment = {} } = start;
  const env = { ...user.env, ...environment, ...variables };
  const child = spawn(process.execPath, shimWords(start), { env, stdio: ["ignore", "pipe", "pipe"] });
  return watchShim(child);
}

/** Reads what a shim says. */
export function watchShim(child: ChildProcess): StartedShim {
  let stdout = "";
  const said: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => said.push(chunk));
  const stderrBytes = () => Buffer.concat(said);
  const stderr = () => stderrBytes().toString();
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const handshake = new Promise<string[]>((resolve, reject) => {
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (stdout.includes("\n")) resolve(stdout.split("\n")[0]?.split("|") ?? []);
    });
    void ended.then(() => reject(new Error(`There was no line:\n${stdout}${stderr()}`)));
  });
  handshake.catch(() => {});
  return {
    child,
    stdout: () => stdout,
    stderr,
    stderrBytes,
    log: () => linesOf(stderr()),
    handshake,
    ended,
    read: (goOn) => void (goOn ? child.stderr?.resume() : child.stderr?.pause()),
  };
}

/** Connects to the address in a shim's line, until the test is over. */
export async function dial(shim: StartedShim): Promise<{ transport: Transport; services: KvServices }> {
  const [, , network = "", address = ""] = await shim.handshake;
  const transport = dialTo([network, address]);
  return { transport, services: servicesOf(transport) };
}

function linesOf(text: string): LogLine[] {
  return text
    .split("\n")
    .filter((line) => line.includes('"@module":"go-plugin-ssh.shim"'))
    .map((line) => JSON.parse(line));
}
