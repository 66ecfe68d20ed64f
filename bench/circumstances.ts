import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, loadavg, platform, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import packageFile from "../package.json" with { type: "json" };
import type { Asked } from "./command-line.ts";
import type { Circumstances } from "./result.ts";

const GO_MODULES = fileURLToPath(new URL("../test/plugins/go/go.mod", import.meta.url));
const GIGABYTE = 1024 ** 3;

/** What to know about the machine and its programs; call it before, and what it gives after the measurements. */
export function lookAround({ cipher, autoMtls, quick }: Asked): () => Circumstances {
  const before = load();
  const date = `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`;
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / GIGABYTE);
  const machine = `${cpus().length} × ${cpu?.model.trim() ?? arch()}, ${memory} GB, ${platform()} ${release()}`;
  const versions = {
    package: packageFile.version,
    node: process.versions.node,
    ssh2: ssh2Version(),
    openssh: firstMatch(said("ssh", ["-V"]), /OpenSSH_(\S+?),?\s/),
    go: firstMatch(said("go", ["version"]), /go(\d\S*)/),
    goPlugin: firstMatch(readFileSync(GO_MODULES, "utf8"), /hashicorp\/go-plugin v(\S+)/),
  };
  return () => ({ date, machine, versions, cipher, autoMtls, quick, load: { before, after: load() } });
}

function load(): number {
  return loadavg()[0] ?? Number.NaN;
}

/** What a program says, on whichever stream. */
function said(program: string, args: string[]): string {
  // ssh tells its version on stderr.
  return execFileSync("/bin/sh", ["-c", '"$@" 2>&1', "sh", program, ...args], { encoding: "utf8" });
}

function firstMatch(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[1] ?? "unknown";
}

function ssh2Version(): string {
  const { version }: { version: string } = createRequire(import.meta.url)("ssh2/package.json");
  return version;
}
