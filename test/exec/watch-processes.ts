import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A process that was seen with one of the texts that were looked for. */
export interface Sighting {
  pid: number;
  /** Where the text was: in the command line or in the environment. */
  where: "cmdline" | "environ";
  text: string;
  /** The command line at that moment. */
  command: string;
}

/** Looks at all processes without a pause, from a thread of its own, until it is asked what it saw. */
export interface Watch {
  /** How many times every process was looked at, so far. */
  rounds(): number;
  /** Ends the watch; each sighting once. */
  stop(): Promise<Sighting[]>;
}

/** What the thread runs: plain text, because it needs nothing of the tests. */
const LOOK = `
  const { readdirSync, readFileSync } = require("node:fs");
  const { workerData: { texts, flags, own }, parentPort } = require("node:worker_threads");
  const state = new Int32Array(flags);
  const seen = new Map();
  const read = (pid, name) => { try { return readFileSync("/proc/" + pid + "/" + name, "utf8"); } catch { return ""; } };
  while (Atomics.load(state, 0) === 0) {
    for (const pid of readdirSync("/proc").filter((name) => name > "0" && name < ":" && Number(name) !== own)) {
      for (const where of ["cmdline", "environ"]) {
        const content = read(pid, where);
        for (const text of texts.filter((one) => content.includes(one))) {
          const command = where === "cmdline" ? content : read(pid, "cmdline");
          seen.set([pid, where, text, command].join(), { pid: Number(pid), where, text, command: command.replaceAll("\\0", " ").trim() });
        }
      }
    }
    Atomics.add(state, 1, 1);
  }
  parentPort.postMessage([...seen.values()]);
`;

/** Starts a {@link Watch} for `texts`; it resolves after the first round. */
export async function watchProcesses(texts: string[]): Promise<Watch> {
  const flags = new SharedArrayBuffer(8);
  const state = new Int32Array(flags);
  const worker = new Worker(LOOK, { eval: true, workerData: { texts, flags, own: process.pid } });
  const rounds = () => Atomics.load(state, 1);
  await once(worker, "online");
  return {
    rounds,
    stop: async () => {
      const answer = once(worker, "message");
      Atomics.store(state, 0, 1);
      const [sightings] = await answer;
      await worker.terminate();
      return sightings;
    },
  };
}
