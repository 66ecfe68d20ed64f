import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Address } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import type { Runner } from "../../src/contract/runner.ts";
import { type ForwardOptions, SshRunner } from "../../src/runner/ssh-runner.ts";
import { Scratch } from "../connect/scratch.ts";
import { connectTo } from "../contract/runner-kinds.ts";
import { Said } from "../contract/said.ts";
import type { TestServer } from "../servers/server.ts";

/** What one can ask of a box, and what came of it: `works`, or an error's words. */
export interface Answers {
  start: string;
  /** A connection to the plugin's socket, and one to its port. These are missing where the start did not work. */
  socket?: string;
  port?: string;
  /** An address for the plugin to call back, for a host on a socket, and for one on a port. */
  "socket back"?: string;
  "port back"?: string;
  kill?: string;
}

/** A runner for a fixture on a box in a container, as others would make it. */
export function runnerOn(
  server: TestServer,
  command: readonly [string, ...string[]],
  options: Partial<ForwardOptions> = {},
): SshRunner {
  const runner = new SshRunner({ ...connectTo(server), command, killGraceMs: 1000, ...options });
  runner.stderr.resume();
  return runner;
}

/** Starts a plugin on a box in a container, asks for all that a plugin may need there, and ends it. */
export async function askOf(server: TestServer, options: Partial<ForwardOptions> = {}): Promise<Answers> {
  await using scratch = await Scratch.make();
  await using runner = runnerOn(server, ["node", "/fixtures/serves.mjs"], options);
  const stdout = new Said(runner.stdout);
  const start = await outcome(runner.start());
  if (start !== "works") return { start };
  const { path, port } = JSON.parse((await stdout.until(/.*\n/))[0]);

  const host = join(scratch.directory, "host");
  const listener = createServer((socket) => socket.on("error", () => {}).destroy());
  await once(listener.listen(host), "listening");
  try {
    return {
      start,
      socket: await outcome(greeting(runner, { network: "unix", path })),
      port: await outcome(greeting(runner, { network: "tcp", host: "127.0.0.1", port })),
      "socket back": await outcome(runner.hostToPlugin({ network: "unix", path: host })),
      "port back": await outcome(runner.hostToPlugin({ network: "tcp", host: "127.0.0.1", port: 9 })),
      kill: await outcome(runner.kill()),
    };
  } finally {
    listener.close();
  }
}

/** Has the plugin say hello at one of its addresses. */
async function greeting(runner: Runner, at: Address): Promise<void> {
  const stream = await runner.openStream?.(at);
  stream?.end("greet\n");
  const [chunk] = (await stream?.take(1).toArray()) ?? [];
  if (String(chunk) !== "hello") throw new Error(`The plugin said ${chunk}.`);
}

/** `works`, or the words of an error of ours. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "works";
  } catch (failure) {
    if (failure instanceof PluginError) return failure.message;
    throw failure;
  }
}
