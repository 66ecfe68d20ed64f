import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import type { TestServer } from "./server.ts";
import { spawnServer } from "./spawn-server.ts";

const PROGRAM = fileURLToPath(new URL("./asyncssh_server.py", import.meta.url));
/** Debian's own; another one in the PATH does not see Debian's packages. */
const PYTHON = "/usr/bin/python3";

/** Whether this machine can run {@link startAsyncSsh}. */
export function hasAsyncSsh(): boolean {
  return existsSync(PYTHON) && existsSync("/usr/lib/python3/dist-packages/asyncssh");
}

/**
 * Starts a server made with Python's asyncssh.
 *
 * @param questions asked together of who has no key, with the answers that open the account
 */
export function startAsyncSsh(
  questions: readonly (readonly [question: string, answer: string])[] = [],
): Promise<TestServer> {
  return spawnServer({
    name: "asyncssh",
    processes: /asyncssh_server\.py /,
    listens: "listening",
    resetBy: "SIGUSR1",
    prepare: async ({ port, hostKeyFile, authorizedKeysFile }) => ({
      // Its warnings are about ciphers that nobody uses.
      command: [
        PYTHON,
        "-W",
        "ignore",
        PROGRAM,
        String(port),
        hostKeyFile,
        authorizedKeysFile,
        userInfo().username,
        ...questions.flat(),
      ],
    }),
  });
}
