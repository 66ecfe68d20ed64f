import type { KvOrders } from "../hosts/kv-host.ts";
import { hostProgram, libraryIn } from "./host-program.ts";
import { type Running, startNode } from "./run-node.ts";

/** A host in a process of its own. */
export interface StartedHost extends Running {
  /** What it has said, line by line; fails if it ends before it has said so many. */
  lines<T>(count: number): Promise<T[]>;
}

/** Starts a program of test/hosts that uses the library in `dist` and keeps its temporary files in `tmp`. */
export async function startHost(name: string, dist: string, tmp: string, orders: KvOrders): Promise<StartedHost> {
  const env = {
    PATH: process.env.PATH ?? "",
    TMPDIR: tmp,
    ORDERS: JSON.stringify({ library: libraryIn(dist), orders }),
  };
  const running = startNode([await hostProgram(name)], { env });
  let text = "";
  running.child.stdout?.on("data", (more) => {
    text += more;
  });
  const whole = () => text.split("\n").slice(0, -1);
  return {
    ...running,
    lines: async (count) => {
      while (whole().length < count) {
        const over = await Promise.race([
          running.ended.then(() => true),
          new Promise<false>((resolve) => running.child.stdout?.once("data", () => resolve(false))),
        ]);
        if (over && whole().length < count)
          throw new Error(`It ended too early: ${JSON.stringify(await running.ended)}`);
      }
      return whole().map((line) => JSON.parse(line));
    },
  };
}
