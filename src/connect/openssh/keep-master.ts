import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./hold-socket.sh", import.meta.url));

/**
 * Keeps a master alive that is to survive us, after a channel was refused through `socket`. OpenSSH (9.2 and others) never
 * forgets a channel of a proxy client that the server would not open; when the client goes, it ends itself: "no
 * remote_id". So a small process stays behind with the socket, until the master ends by itself.
 */
export function keepMaster(socket: Socket): void {
  // Not as one of the first three, which Node would make block, for us too.
  const stdio = ["ignore", "ignore", "ignore", "pipe", socket] as const;
  const holder = spawn("/bin/sh", [PROGRAM], { stdio: [...stdio], detached: true });
  holder.on("error", () => {});
  holder.unref();
  // Node reads no more from a socket that it gives to a child.
  socket.resume();
  const pipe = holder.stdio[3] as Socket | null;
  pipe?.on("error", () => {}).unref();
  socket.once("close", () => pipe?.destroy());
}
