import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import { startEmbedded } from "../../servers/embedded.ts";
import type { TestServer } from "../../servers/server.ts";
import { eventually, isAlive } from "../../tools/leaks.ts";
import { optionsFor } from "../login.ts";
import { Scratch } from "../scratch.ts";
import { entry } from "./hops.ts";

const PIPE = `"${process.execPath}" "${fileURLToPath(new URL("pipe.mjs", import.meta.url))}" %h %p`;
let program = "";

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("child.ts", import.meta.url))],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  program = outputFiles[0]?.text ?? "";
});

/** A process that has connected to `box`, and that lets go of the connection or not. */
async function startChild(destination: string, options: ConnectOptions, letGo: boolean): Promise<ChildProcess> {
  const input = JSON.stringify({ destination, options: { ...options, serverAliveIntervalMs: 0 }, letGo });
  // Packages are found from the working directory, where this project is.
  const child = spawn(process.execPath, ["--input-type=module", "-", input], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin?.end(program);
  const [said] = await once(child.stdout as Readable, "data");
  expect(String(said)).toBe("ran, 0\n");
  return child;
}

/** A jump host and a box behind it, and the configuration of somebody who knows both. */
async function startPair() {
  const [hop, box, scratch] = [await startEmbedded(), await startEmbedded(), await Scratch.make()];
  const configFile = await scratch.put(
    "ssh_config",
    [entry("hop", hop), entry("box", box, "ProxyJump hop")].join("\n"),
  );
  return {
    configFile,
    alone: () => eventually(() => hop.embedded.connections + box.embedded.connections === 0, { what: "the end" }),
    [Symbol.asyncDispose]: async () => {
      await box.stop();
      await hop.stop();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

function commandOptions(server: TestServer, proxyCommand: string): ConnectOptions {
  return optionsFor(server, { identityFile: server.identityFile, proxyCommand });
}

function pidIn(path: string): number {
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
}

describe("a connection that nobody holds lets the process end", () => {
  test("through a jump host", async () => {
    await using pair = await startPair();
    const child = await startChild("box", { configFile: pair.configFile }, true);
    expect(await once(child, "exit")).toEqual([0, null]);
    await pair.alone();
  });

  test.each([
    ["that ends by itself", (pid: string) => `sh -c 'echo $$ > ${pid}; exec ${PIPE}'`],
    [
      "that heeds nothing but KILL",
      (pid: string) => `sh -c 'trap "" TERM; echo $$ > ${pid}; exec 3<&0; ${PIPE} <&3; sleep 1000'`,
    ],
  ])("by a command %s, and the command goes with it", async (_what, command) => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    const destination = `ssh://${server.user}@${server.host}:${server.port}`;
    const child = await startChild(destination, commandOptions(server, command(pid)), true);
    expect(await once(child, "exit")).toEqual([0, null]);
    await eventually(() => !isAlive(pidIn(pid)), { what: "the command to be gone" });
  });
});

describe("a process that is killed leaves nothing behind", () => {
  test("through a jump host", async () => {
    await using pair = await startPair();
    const child = await startChild("box", { configFile: pair.configFile }, false);
    child.kill("SIGKILL");
    await pair.alone();
  });

  test("by a command, which reads the end of its input", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    const destination = `ssh://${server.user}@${server.host}:${server.port}`;
    const command = `sh -c 'echo $$ > ${pid}; exec ${PIPE}'`;
    const child = await startChild(destination, commandOptions(server, command), false);
    expect(isAlive(pidIn(pid))).toBe(true);
    child.kill("SIGKILL");
    await eventually(() => !isAlive(pidIn(pid)), { what: "the command to be gone" });
    await eventually(() => server.embedded.connections === 0, { what: "the server to be left alone" });
  });
});
