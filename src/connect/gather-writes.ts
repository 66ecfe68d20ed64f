import type { Socket } from "node:net";
import type { Duplex, Writable } from "node:stream";

/**
 * Has all that is written to a socket in one turn leave together. ssh2 writes each packet by itself, and without Nagle's
 * algorithm each would be a system call and a packet of the network.
 */
export function gatherPackets(socket: Socket): void {
  const write: Writable["write"] = socket.write.bind(socket);
  socket.write = (...args: unknown[]) => {
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    return Reflect.apply(write, undefined, args);
  };
}

/**
 * Has all that waits to be written to a channel become as few SSH packets as it fits in. HTTP/2 writes the head of each
 * frame by itself, and a packet costs the same whether it carries nine bytes or sixteen thousand.
 */
export function gatherChunks<Channel extends Duplex>(channel: Channel): Channel {
  channel._writev = (writes, done) => {
    const chunks = writes.map(({ chunk }) => chunk as Buffer);
    channel._write(Buffer.concat(chunks), "buffer" as BufferEncoding, done);
  };
  return channel;
}
