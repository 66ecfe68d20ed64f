import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../test/tools/eventually.ts";
import type { Box } from "../box.ts";
import { sshArguments } from "../ways/open-ssh.ts";
import type { Story } from "./story.ts";

const FORWARD_MS = 60_000;

/** What `ssh -v` says, and what that is called here. */
const LINES: readonly (readonly [RegExp, string])[] = [
  [/Connection established/, "TCP connection"],
  [/Remote protocol version/, "the server's version"],
  [/SSH2_MSG_KEXINIT received/, "KEXINIT"],
  [/SSH2_MSG_NEWKEYS received/, "key exchange, NEWKEYS"],
  [/SSH2_MSG_SERVICE_ACCEPT received/, "user authentication service"],
  [/Authentications that can continue/, "no login without a key"],
  [/Server accepts key/, "key acceptable"],
  [/^Authenticated to/, "signature accepted"],
];

/** The system's `ssh` without a master: each command and each forward is a login of its own. */
export class SingleSsh implements AsyncDisposable {
  readonly #box: Box;
  readonly #story: Story;
  readonly #children: ChildProcess[] = [];

  constructor(box: Box, story: Story) {
    this.#box = box;
    this.#story = story;
  }

  /** Starts a command on the box. */
  exec(command: string): ChildProcess {
    return this.#ssh(["-v"], [command], "");
  }

  /** Has a socket here lead to one on the box; gives the path of the new one. */
  async forward(_flag: "-L" | "-R", path: string): Promise<string> {
    const made = join(this.#box.directory, `f${this.#children.length}-${process.pid}-${Date.now() % 1e6}`);
    this.#ssh(["-v", "-N", "-L", `${made}:${path}`], [], "second login: ");
    await eventually(() => existsSync(made), { what: "ssh to forward", timeoutMs: FORWARD_MS });
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      // See `OpenSsh`: another signal may be seen late.
      child.kill("SIGKILL");
      await ended;
    }
  }

  #ssh(options: string[], command: string[], prefix: string): ChildProcess {
    const child = spawn("ssh", [...sshArguments(this.#box, "none"), ...options, this.#box.host, ...command], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n")) {
        for (const [pattern, what] of LINES) if (pattern.test(line)) this.#story.note(prefix + what);
      }
    });
    return child;
  }
}
