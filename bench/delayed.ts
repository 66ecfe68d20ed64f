import { fork } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import type { Address, TcpAddress } from "../src/index.ts";
import type { ProxyTarget } from "../test/tools/proxy.ts";

/** Asks the process of `delay.ts` for a port. */
export interface DelayRequest {
  id: number;
  target: ProxyTarget;
  oneWayMs: number;
}

/** A long line in front of addresses of this machine. */
export interface LongLine extends AsyncDisposable {
  readonly roundTripMs: number;
  /** Where `address` is, a round trip away; the same answer for the same address. */
  to(address: Address): Promise<TcpAddress>;
}

/** Starts a process, built beside this one, that holds all bytes back for half a round trip, each way. */
export async function openLongLine(roundTripMs: number): Promise<LongLine> {
  const child = fork(join(dirname(process.argv[1] ?? ""), "delay.js"), { stdio: "inherit", execArgv: [] });
  const ended = once(child, "exit");
  const known = new Map<string, Promise<TcpAddress>>();
  const ask = (target: ProxyTarget, id: number) =>
    new Promise<TcpAddress>((resolve, reject) => {
      const heard = (answer: { id: number; port: number }) => {
        if (answer.id !== id) return;
        child.off("message", heard);
        resolve({ network: "tcp", host: "127.0.0.1", port: answer.port });
      };
      child.on("message", heard);
      void ended.then(() => reject(new Error("The process of the long line has ended.")));
      child.send({ id, target, oneWayMs: roundTripMs / 2 } satisfies DelayRequest);
    });
  return {
    roundTripMs,
    to: (address) => {
      const key = JSON.stringify(address);
      const port = known.get(key) ?? ask(address, known.size);
      known.set(key, port);
      return port;
    },
    [Symbol.asyncDispose]: async () => {
      child.disconnect();
      await ended;
    },
  };
}
