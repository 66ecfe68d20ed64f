import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect } from "vitest";
import type { TestServer } from "../servers/server.ts";

/** The home of somebody who uses this package, and a plugin that they can run on a box. */
export interface UserHome extends Disposable {
  /** Holds all the rest. */
  readonly directory: string;
  readonly home: string;
  /** For what their programs leave behind: empty at the end, or disposing fails. */
  readonly tmp: string;
  /** All that their programs see of an environment. */
  readonly env: Record<string, string>;
  /**
   * The demonstration's plugin as an executable. It takes the README's cookie too, and notes its private directory on
   * the box, which must be gone at the end.
   */
  readonly plugin: string;
}

/** What is in the home. */
export interface UserHomeOptions {
  /** The build that the plugin is taken from. */
  dist: string;
  /** The server that the home's key opens and whose host key is on record. */
  server?: TestServer;
  /** Whether its host key is on record. @default true */
  knowsHost?: boolean;
}

/**
 * Makes a home with `.ssh/id_ed25519`, `.ssh/known_hosts` and an empty `.ssh/config` for a server. Only this
 * configuration counts there, and not that of whoever runs the tests.
 */
export async function openUserHome({ dist, server, knowsHost = true }: UserHomeOptions): Promise<UserHome> {
  // Short, because sockets are made below it.
  const directory = mkdtempSync(join(tmpdir(), "gpu"));
  const [home, tmp, ssh] = [join(directory, "home"), join(directory, "t"), join(directory, "home", ".ssh")];
  mkdirSync(tmp);
  mkdirSync(ssh, { recursive: true, mode: 0o700 });
  writeFileSync(join(ssh, "config"), "", { mode: 0o600 });
  if (server) {
    writeFileSync(join(ssh, "id_ed25519"), server.privateKey, { mode: 0o600 });
    if (knowsHost) writeFileSync(join(ssh, "known_hosts"), await readFile(server.knownHostsFile));
  }
  const bin = join(directory, "bin");
  mkdirSync(bin);
  const program = findSsh();
  if (program) writeFileSync(join(bin, "ssh"), homely(program), { mode: 0o755 });
  const notes = join(directory, "on-the-box");
  const plugin = join(directory, "greeter-plugin");
  writeFileSync(plugin, wrapper(notes, join(dist, "demo-plugin.js")), { mode: 0o755 });
  return {
    directory,
    home,
    tmp,
    plugin,
    // Node 24 keeps what npm and tsc compiled in TMPDIR, which is theirs to do, but not ours to look through.
    env: {
      PATH: `${bin}${delimiter}${process.env.PATH ?? ""}`,
      HOME: home,
      TMPDIR: tmp,
      LANG: "C.UTF-8",
      NODE_DISABLE_COMPILE_CACHE: "1",
    },
    [Symbol.dispose]: () => {
      try {
        expect(readdirSync(tmp)).toEqual([]);
        const made = existsSync(notes) ? readFileSync(notes, "utf8").trim().split("\n") : [];
        expect(made.filter((path) => existsSync(path))).toEqual([]);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

function findSsh(): string | undefined {
  const places = (process.env.PATH ?? "").split(delimiter).map((place) => join(place, "ssh"));
  return places.find((path) => existsSync(path));
}

/** An `ssh` that looks for its configuration in this home, where the real one asks the system for the account's. */
function homely(ssh: string): string {
  return `#!/bin/sh
exec '${ssh}' -F "$HOME/.ssh/config" "$@"
`;
}

function wrapper(notes: string, plugin: string): string {
  return `#!/bin/sh
echo "$PLUGIN_UNIX_SOCKET_DIR" >>'${notes}'
GO_PLUGIN_SSH_DEMO="\${GO_PLUGIN_SSH_DEMO:-$GREETER_PLUGIN}" exec '${process.execPath}' '${plugin}'
`;
}
