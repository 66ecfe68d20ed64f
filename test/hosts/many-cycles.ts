// A host that starts, calls and ends a plugin again and again over one connection, and says what it holds on to after
// the first of these cycles and after the last. Run with --expose-gc
// and --no-warnings.
import { EventEmitter, getEventListeners } from "node:events";
import { readdirSync } from "node:fs";
import { queryObjects } from "node:v8";
import { createClient } from "@connectrpc/connect";
import ssh2 from "ssh2";
import type { ConnectOptions, Destination, SshRunnerOptions } from "../../src/index.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { begin, say } from "./orders.ts";

/** What the test wants. */
export interface CycleOrders {
  destination: Destination;
  connect: ConnectOptions;
  runner: Pick<SshRunnerOptions, "command" | "directoryBase">;
  /** Where temporary files may be left. */
  directories: string[];
  /** How many cycles pass before the first figures are taken: what is made once is there then. */
  warmUp: number;
  cycles: number;
  atOnce: number;
}

/** What a host holds on to. */
export interface Figures {
  cycles: number;
  heapBytes: number;
  bufferBytes: number;
  /** Living objects: emitters (streams, sockets and sessions among them), signals, promises and the library's clients. */
  objects: number[];
  /** On the signal of the connection's end, the process, ssh2's client and its socket. */
  listeners: Record<"lost" | "process" | "client" | "socket", number>;
  channels: number;
  handles: number;
  descriptors: number;
  files: number;
}

// Node warns of `queryObjects`; every other warning, such as that of too many listeners, is for the test.
process.on("warning", (warning) => {
  if (warning.name !== "ExperimentalWarning") console.error(warning);
});
const { orders, index, client: library } = await begin<CycleOrders>();
const { ends, sshClient } = watchSsh();
const connection = await index.connect(orders.destination, orders.connect);
const ssh = sshClient();

let done = 0;
await cycle(orders.warmUp);
const first = await figures();
const began = performance.now();
const cpu = process.cpuUsage();
await cycle(orders.cycles);
const elapsedMs = performance.now() - began;
const { user, system } = process.cpuUsage(cpu);
const cpuMs = (user + system) / 1000;
const last = await figures(first);
await connection.close();
await ends;
say({ first, last, elapsedMs, cpuMs });

async function cycle(times: number): Promise<void> {
  const until = done + times;
  let begun = done;
  const worker = async () => {
    while (begun < until) {
      begun += 1;
      await once(begun);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: orders.atOnce }, worker));
}

/** One plugin from the start to the end. */
async function once(n: number): Promise<void> {
  const runners: InstanceType<typeof index.SshRunner>[] = [];
  const client = new library.Client({
    handshakeConfig: { protocolVersion: 1, magicCookieKey: "KV_PLUGIN_COOKIE", magicCookieValue: "kv" },
    // One in a thousand may be held up, on a machine that is busy for minutes.
    shutdownTimeoutMs: 60_000,
    runnerFunc: ({ environment }) => {
      const runner = new index.SshRunner({ connection, ...orders.runner, environment });
      runners.push(runner);
      return runner;
    },
  });
  const kv = createClient(KV, await client.start());
  const payload = Buffer.alloc(10_000, n);
  const answer = await kv.echo({ payload });
  if (!payload.equals(answer.payload)) throw new TypeError(`Cycle ${n} got another answer.`);
  await client.kill();
  const exit = await client.wait();
  if (exit.code !== 0) throw new TypeError(`Cycle ${n} ended with ${JSON.stringify(exit)}.`);
}

/**
 * Taken when all is quiet: what a cycle has left for later is done by then.
 *
 * @param wanted what the counts are to be, which may take a while on a busy machine. @default whatever they come to
 */
async function figures(wanted?: Figures): Promise<Figures> {
  let before = wanted && counts(wanted);
  for (let turn = 0; turn < 600; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = look();
    if (before === counts(now)) return now;
    before = wanted ? before : counts(now);
  }
  return look();
}

/** What must not change, as a text. */
function counts({ cycles: _, heapBytes: __, bufferBytes: ___, objects: ____, ...rest }: Figures): string {
  return JSON.stringify(rest);
}

function look(): Figures {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return {
    cycles: done,
    heapBytes: heapUsed,
    bufferBytes: arrayBuffers,
    objects: [EventEmitter, AbortSignal, Promise, library.Client].map(countObjects),
    listeners: {
      lost: getEventListeners(connection.lost, "abort").length,
      process: countListeners(process),
      client: countListeners(ssh),
      socket: countListeners((ssh as unknown as { _sock: EventEmitter })._sock),
    },
    channels: Object.keys((ssh as unknown as { _chanMgr: { _channels: object } })._chanMgr._channels).length,
    handles: process.getActiveResourcesInfo().filter((kind) => kind !== "Timeout").length,
    descriptors: readdirSync("/proc/self/fd").length,
    files: orders.directories.flatMap((path) => readdirSync(path)).length,
  };
}

/** Node before 20.13 cannot count. */
function countObjects(kind: new (...args: never[]) => unknown): number {
  return queryObjects?.(kind as never, { format: "count" }) ?? 0;
}

function countListeners(emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

/** The library keeps its ssh2 client to itself, so it is caught when it connects. */
function watchSsh() {
  let caught: ssh2.Client | undefined;
  let end = () => {};
  const ends = new Promise<void>((resolve) => {
    end = resolve;
  });
  const { connect } = ssh2.Client.prototype;
  ssh2.Client.prototype.connect = function (this: ssh2.Client, config) {
    caught = this;
    this.once("close", () => end());
    return connect.call(this, config);
  };
  return {
    ends,
    sshClient: () => {
      if (!caught) throw new TypeError("Nobody has connected.");
      return caught;
    },
  };
}
