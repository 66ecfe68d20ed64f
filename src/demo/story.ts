import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createClient } from "@connectrpc/connect";
import { Client } from "../client/client.ts";
import { ConnectionPool } from "../connect/pool.ts";
import type { Connection } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { describeExit } from "../exec/exit-status.ts";
import { runProgram } from "../exec/run-program.ts";
import { harmless } from "../lifetime/tail.ts";
import type { DemoBox } from "./demo-box.ts";
import { Demo } from "./gen/demo_pb.ts";
import { serveHost } from "./host-service.ts";
import { Clock, type Tell } from "./steps.ts";
import { ToldRunner } from "./told-runner.ts";

const PIECES = 1_000;
const LOOK_MS = 5_000;
const CALL_MS = 20_000;
/** How long the plugin may take to shut down. A box may be slow, and the story is that nobody has to kill it. */
const SHUTDOWN_MS = 10_000;

/** A line that is the same for every box: the plugin itself comes in the environment, over stdin. */
const START_PLUGIN = 'import("data:text/javascript;base64,"+process.env.GO_PLUGIN_SSH_DEMO_CODE)';

/**
 * The whole story, on any box: connect, exec, handshake, dial, translate, a call, a stream, a call back, kill. Each
 * step is told when it is done; at the end it is checked that nothing is left.
 *
 * @param pluginFile the bundled plugin
 * @throws {PluginError} what went wrong; everything that was made is undone then
 */
export async function tellStory(box: DemoBox, pluginFile: URL, tell: Tell, signal?: AbortSignal): Promise<void> {
  const clock = new Clock();
  const code = (await readFile(pluginFile)).toString("base64");
  await using pool = new ConnectionPool(box.connect);
  clock.lap();
  await using lease = await pool.lease(box.destination, signal);
  const { connection } = lease;
  tell({ step: "connect", ms: clock.lap(), text: `Logged in to ${connection.name}. Verified its host key.` });
  try {
    await tellOfPlugin({ connection, node: box.node, code, clock, tell, signal });
  } catch (failure) {
    // Whatever failed after it failed because of it.
    throw connection.lost.aborted ? connection.lost.reason : failure;
  }
}

/** What the steps of the plugin's own life need. */
interface Stage {
  readonly connection: Connection;
  /** The Node executable on the box. */
  readonly node: string;
  /** The plugin's program, as base64. */
  readonly code: string;
  readonly clock: Clock;
  readonly tell: Tell;
  readonly signal: AbortSignal | undefined;
}

/** From the start of the plugin to its end. */
async function tellOfPlugin({ connection, node, code, clock, tell, signal }: Stage): Promise<void> {
  let runner: ToldRunner | undefined;
  await using client = new Client({
    handshakeConfig: { protocolVersion: 1, magicCookieKey: "GO_PLUGIN_SSH_DEMO", magicCookieValue: "hello" },
    shutdownTimeoutMs: SHUTDOWN_MS,
    runnerFunc: ({ environment }) => {
      const command = [node, "-e", START_PLUGIN] as const;
      const options = { connection, command, environment: { ...environment, GO_PLUGIN_SSH_DEMO_CODE: code } };
      runner = new ToldRunner({ ...options, killGraceMs: 2_000 }, clock, tell);
      return runner;
    },
  });
  await client.start(signal);
  if (!runner) throw new PluginError("closed", "The client did not ask for a runner.");
  tell({
    step: "dial",
    ms: clock.lap(),
    text: `Agreed on version ${client.negotiatedVersion}. Opened a channel to that socket: TLS inside, both certificates pinned.`,
  });
  const hostDirectory = await callBothWays(client, runner, clock, tell, signal);
  await end(client, runner, connection, hostDirectory, clock, tell);
}

/** Calls the plugin and is called by it; resolves with the directory of the translated socket on this side. */
async function callBothWays(
  client: Client,
  runner: ToldRunner,
  clock: Clock,
  tell: Tell,
  signal: AbortSignal | undefined,
): Promise<string> {
  const limits = { timeoutMs: CALL_MS, ...(signal ? { signal } : {}) };
  const target = await client.grpcTarget(signal);
  const text = `The same socket can be reached here as ${target.target}, for other gRPC libraries.`;
  tell({ step: "translate", ms: clock.lap(), text });

  const demo = createClient(Demo, client.transport);
  const greeting = await demo.greet({ text: "from the host" }, limits);
  tell({ step: "call", ms: clock.lap(), text: `The plugin answered: ${harmless(greeting.text)}` });

  let pieces = 0;
  for await (const _ of demo.stream({ amount: PIECES }, limits)) pieces += 1;
  if (pieces !== PIECES) throw new PluginError("plugin-exited", `The plugin sent ${pieces} of ${PIECES} pieces.`);
  tell({ step: "stream", ms: clock.lap(), text: `Received ${pieces} messages of 1 kB from the plugin.` });

  const id = client.broker.nextId();
  await using _service = await client.broker.acceptAndServe(id, serveHost, signal);
  const answer = await demo.callBack({ amount: id }, limits);
  tell({
    step: "callback",
    ms: clock.lap(),
    text: `The plugin called us back through ${runner.hostPath} on the box, and heard: ${harmless(answer.text)}`,
  });
  return dirname(target.target.replace(/^unix:/, ""));
}

/** Ends the plugin, and looks whether it and the directories on both sides are really gone. */
async function end(
  client: Client,
  runner: ToldRunner,
  connection: Connection,
  hostDirectory: string,
  clock: Clock,
  tell: Tell,
): Promise<void> {
  const directory = dirname(runner.pluginPath);
  clock.lap();
  await client.kill();
  const exit = describeExit(await client.wait());
  const ms = clock.lap();
  const left: string[] = [];
  for (const path of [directory, `/proc/${runner.pid}`]) {
    const exec = (command: string, signal?: AbortSignal) => connection.exec(command, signal);
    const { file } = await runProgram(exec, "listening.sh", { gps_path: path }, { timeoutMs: LOOK_MS });
    if (file !== "none") left.push(path);
  }
  if (left.length > 0) throw new PluginError("still-running", `These are still on the box: ${left.join(", ")}.`);
  if (existsSync(hostDirectory)) throw new PluginError("still-running", `${hostDirectory} is still here.`);
  tell({
    step: "kill",
    ms,
    text:
      `The plugin shut down with ${exit}. Gone from the box: process ${runner.pid} and ${directory}.\n` +
      `Gone from here: ${hostDirectory}, with the translated socket.`,
  });
}
