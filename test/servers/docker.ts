import { execFile, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type ProcessRow, processTable } from "../../src/demo/embedded/process-table.ts";

/** How long one word with the engine may take, on a machine with too much to do. */
const PATIENCE_MS = 60_000;
/** An image takes a minute where nothing is cached. */
const BUILD_MS = 15 * 60_000;

/** The images of `docker/`, and the versions of Debian that they are made for. */
export const IMAGES = ["sshd", "dropbear"] as const;
export const SUITES = ["bookworm", "trixie"] as const;
export type Image = (typeof IMAGES)[number];
export type Suite = (typeof SUITES)[number];

/** The name under which the tests keep an image. */
export function imageName(image: Image, suite: Suite): string {
  return `go-plugin-ssh-${image}:${suite}`;
}

/** Asks the engine for something and gives its answer. Rejects with what it said if it would not. */
export async function docker(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("docker", args, { timeout: PATIENCE_MS });
  return stdout.trim();
}

/** All that a container has said, on both outputs. */
export async function logOf(containerId: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)("docker", ["logs", containerId], { timeout: PATIENCE_MS });
  return stdout + stderr;
}

/** Resolves with what a container has said so far, once that matches. Rejects with all of it if the container ends. */
export async function saying(containerId: string, pattern: RegExp): Promise<string> {
  const following = spawn("docker", ["logs", "--follow", containerId], { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => following.kill(), PATIENCE_MS);
  try {
    return await new Promise<string>((resolve, reject) => {
      let text = "";
      const onChunk = (chunk: Buffer) => {
        text += chunk;
        if (pattern.test(text)) resolve(text);
      };
      following.stdout.on("data", onChunk);
      following.stderr.on("data", onChunk);
      following.once("error", reject);
      following.once("close", () => reject(new Error(`The container never said ${pattern}:\n${text}`)));
    });
  } finally {
    clearTimeout(timer);
    following.kill();
  }
}

/** Makes an image; it takes no time if that was done before and nothing has changed. */
export function buildImage(image: Image, suite: Suite): void {
  const folder = fileURLToPath(new URL(`../../docker/${image}`, import.meta.url));
  const proxies = ["http_proxy", "https_proxy", "no_proxy"].filter((name) => process.env[name]);
  const base = `BASE=debian:${suite}-slim`;
  const args = [base, ...proxies].flatMap((name) => ["--build-arg", name]);
  execFileSync("docker", ["build", "--network", "host", "--tag", imageName(image, suite), ...args, folder], {
    encoding: "utf8",
    stdio: "pipe",
    timeout: BUILD_MS,
  });
}

let bridge: Promise<boolean> | undefined;

/** Whether containers can have a network of their own here. */
export function hasBridge(): Promise<boolean> {
  bridge ??= docker("network", "ls", "--format", "{{.Driver}} {{.Name}}").then((networks) => {
    return networks.split("\n").includes("bridge bridge");
  });
  return bridge;
}

/** The living processes of a container, as this machine sees them, whatever they descend from. */
export function processesOf(containerId: string): ProcessRow[] {
  return processTable().filter(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(containerId);
    } catch {
      // It has ended.
      return false;
    }
  });
}
