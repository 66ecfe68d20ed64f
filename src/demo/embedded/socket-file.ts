import { chmodSync, lstatSync, renameSync } from "node:fs";
import type { Server } from "node:net";

/** How many bytes of a path the kernel takes; Node cuts a longer one off without a word. */
const LONGEST_PATH = process.platform === "linux" ? 107 : 103;

/** Whether a path is short enough for a unix socket. */
export function fitsSocketPath(path: string): boolean {
  return path !== "" && Buffer.byteLength(path) <= LONGEST_PATH;
}

/**
 * Makes the socket file of a listener private, as sshd does.
 *
 * @returns whether the file at `path` is still this one
 */
export function keepPrivate(path: string): () => boolean {
  chmodSync(path, 0o600);
  const { dev, ino } = lstatSync(path);
  return () => {
    const now = lstatSync(path, { throwIfNoEntry: false });
    return now?.dev === dev && now.ino === ino;
  };
}

/** Closes a listener and leaves its socket file where it is, as sshd does. Node would delete it, whoever made it. */
export function closeAndKeep(server: Server, path: string): void {
  const aside = `${path}~`;
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  if (isThere) renameSync(path, aside);
  server.close();
  if (isThere) renameSync(aside, path);
}
