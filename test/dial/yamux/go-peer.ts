import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildProgram } from "../../plugins/go-plugins.ts";
import type { Report } from "./plan.ts";

/** The program `yamuxpeer`, which speaks Go's yamux on the other end of a socket. */
export interface GoPeer extends AsyncDisposable {
  readonly carrier: Socket;
  /** What it saw of all streams, when it has seen them all. */
  report(): Promise<Report>;
  /** What it, and yamux, have to say. */
  stderr(): string;
  /** Asks it to end, which it does when its session is over, and gives its exit code. */
  end(): Promise<number | null>;
}

/** Starts `yamuxpeer` with `flags`. */
export async function startGoPeer(flags: Record<string, string | number>): Promise<GoPeer> {
  const program = await buildProgram("yamuxpeer");
  const directory = mkdtempSync(join(tmpdir(), "gpy"));
  const socket = join(directory, "s");
  const server = createServer().listen(socket);
  await once(server, "listening");
  const args = Object.entries({ socket, ...flags }).map(([name, value]) => `-${name}=${value}`);
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const exited = new Promise<number | null>((resolve) => child.on("close", resolve));
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  child.stdin.on("error", () => {});
  const [carrier] = (await Promise.race([
    once(server, "connection"),
    exited.then((code) => {
      throw new Error(`yamuxpeer ended with ${code}: ${stderr}`);
    }),
  ])) as [Socket];
  server.close();
  return {
    carrier,
    async report() {
      while (!stdout.includes("\n")) {
        await Promise.race([
          once(child.stdout, "data"),
          exited.then((code) => {
            throw new Error(`yamuxpeer ended with ${code}: ${stderr}`);
          }),
        ]);
      }
      return JSON.parse(stdout);
    },
    stderr: () => stderr,
    end() {
      child.stdin.end();
      return exited;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      carrier.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
