import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestServer } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

const MODULE = fileURLToPath(new URL("./go", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache/go-sshserver", import.meta.url));
/** The first build on a machine downloads modules. */
const BUILD_TIMEOUT_MS = 5 * 60_000;

let built: Promise<string> | undefined;

/** Starts a server made with Go's golang.org/x/crypto/ssh. */
export async function startGoSsh(): Promise<TestServer> {
  built ??= build().catch((failure) => {
    built = undefined;
    throw failure;
  });
  const program = await built;
  return spawnServer({
    name: "x/crypto/ssh",
    processes: /\/sshserver /,
    listens: "listening",
    resetBy: "SIGUSR1",
    prepare: async ({ port, hostKeyFile, authorizedKeysFile }) => ({
      command: [program, String(port), hostKeyFile, authorizedKeysFile, userInfo().username],
    }),
  });
}

/** Builds it; Go's own cache makes that quick. Several processes may do so at once: each puts a whole file in place. */
async function build(): Promise<string> {
  const [unfinished, path] = [join(CACHE, randomUUID()), join(CACHE, "sshserver")];
  await mkdir(CACHE, { recursive: true });
  try {
    const args = ["build", "-trimpath", "-buildvcs=false", "-o", unfinished, "./sshserver"];
    const env = { ...process.env, CGO_ENABLED: "0" };
    await promisify(execFile)("go", args, { cwd: MODULE, env, timeout: BUILD_TIMEOUT_MS });
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}
