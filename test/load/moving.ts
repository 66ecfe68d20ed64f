import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { eventually } from "../tools/eventually.ts";

const BLOCK = Buffer.alloc(64 * 1024, "the bytes of the host ");

/** What `moves-bytes.mjs` says of itself. */
export interface Told {
  readonly sent: number;
  readonly taken: number;
  readonly digest: string;
  readonly heard: string;
  readonly descriptors: number;
}

/** Connects to a unix socket and says what shall become of the connection. */
export async function open(path: string, order: string): Promise<Socket> {
  const socket = await eventually(() => tryTo(path), { what: `a place in the queue of ${path}`, timeoutMs: 50_000 });
  socket.on("error", () => {});
  socket.write(`${order}\n`);
  return socket;
}

/** Asks the plugin and gives its answer. */
export async function ask(path: string, order: string): Promise<string> {
  const socket = await open(path, order);
  socket.end();
  return answer(socket);
}

/** How far the plugin is. */
export async function look(path: string): Promise<Told> {
  return JSON.parse(await ask(path, "look"));
}

/** All that comes until the other side ends. A connection that ends without a word is a failure. */
export async function answer(socket: Socket): Promise<string> {
  const said = await text(socket);
  if (said === "") throw new Error("The connection ended without an answer.");
  return said;
}

/** Sends `total` bytes, no two blocks alike, and ends; gives their digest. `progress` learns how many were taken. */
export async function send(socket: Socket, total: number, progress: (sent: number) => void = () => {}) {
  const hash = createHash("sha256");
  let sent = 0;
  for (let n = 0; sent < total; n += 1) {
    const block = Buffer.from(BLOCK.subarray(0, Math.min(BLOCK.length, total - sent)));
    if (block.length >= 4) block.writeUInt32BE(n);
    hash.update(block);
    if (!socket.write(block)) await once(socket, "drain");
    sent += block.length;
    progress(sent);
  }
  socket.end();
  return hash.digest("hex");
}

/** Sends `total` bytes to the plugin, which must have got just these and say so after our end. Gives bytes per second. */
export async function upload(path: string, total: number): Promise<number> {
  const began = performance.now();
  const socket = await open(path, "take");
  const digest = await send(socket, total);
  const said = await answer(socket);
  if (said !== `${total} ${digest}`) throw new Error(`Sent were ${total} ${digest}, but taken ${said}.`);
  return total / ((performance.now() - began) / 1000);
}

/** Has the plugin send `total` bytes, and answers after its end. Gives bytes per second. */
export async function download(path: string, total: number): Promise<number> {
  const began = performance.now();
  const socket = await open(path, `give ${total}`);
  const { length, digest } = await digestOf(socket);
  const rate = total / ((performance.now() - began) / 1000);
  socket.end("I heard it all");
  await once(socket, "close");
  const told = await look(path);
  if (length !== total || digest !== told.digest || told.heard !== "I heard it all") {
    throw new Error(`Taken were ${length} ${digest}, but the plugin says ${JSON.stringify(told)}.`);
  }
  return rate;
}

/** Reads to the end; the other direction stays open, which an iterator would close. */
export async function digestOf(socket: Socket): Promise<{ length: number; digest: string }> {
  const hash = createHash("sha256");
  let length = 0;
  socket.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  await once(socket, "end");
  return { length, digest: hash.digest("hex") };
}

/** Connects, unless the listener's queue is full: that of ssh holds 128, and on Linux a unix socket then says EAGAIN at once. */
async function tryTo(path: string): Promise<Socket | undefined> {
  const socket = connect({ path, allowHalfOpen: true });
  try {
    await once(socket, "connect");
    return socket;
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw failure;
  }
}
