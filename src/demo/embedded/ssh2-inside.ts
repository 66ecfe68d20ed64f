import type { Writable } from "node:stream";
import type { Connection, ServerChannel, Session } from "ssh2";

/** The packets that ssh2 can send but gives no public way to send. */
export interface Packets {
  channelOpenFail(channelId: number, reason: number, text: string): void;
  channelClose(channelId: number): void;
  channelData(channelId: number, bytes: Uint8Array): void;
  channelExtData(channelId: number, bytes: Uint8Array, type: number): void;
  exitStatus(channelId: number, code: number): void;
  exitSignal(channelId: number, signal: string, coreDumped: boolean, text: string): void;
}

/** How a channel writes, as Node's streams call it. */
export type Write = (chunk: Buffer, encoding: BufferEncoding, done: (failure?: Error | null) => void) => void;

/** What an ssh2 server channel keeps to itself. */
export interface ChannelInside {
  /** What the client sends. */
  readonly incoming: { state: "open" | "eof" | "closed" };
  /** What we send. */
  readonly outgoing: { id: number; window: number; packetSize: number; state: "open" | "eof" | "closing" | "closed" };
  /** Set by whoever waits for the client to open the window; ssh2 then calls `_chunkcb`, unless there is a `_chunk`. */
  _waitWindow: boolean;
  _chunk: Buffer | undefined;
  _chunkcb: (() => void) | undefined;
  _write: Write;
  readonly stderr: Writable & { _write: Write };
  eof(): void;
  close(): void;
}

/** Looks inside a channel. */
export function insideOf(channel: ServerChannel): ChannelInside {
  return channel as unknown as ChannelInside;
}

/** The packets of a connection. */
export function packetsOf(connection: Connection): Packets {
  return (connection as unknown as { _protocol: Packets })._protocol;
}

/** The client's and the server's number of a session's channel. */
export function channelIdsOf(session: Session): { client: number; server: number } {
  const { incoming, outgoing } = (session as unknown as { _chanInfo: Record<"incoming" | "outgoing", { id: number }> })
    ._chanInfo;
  return { client: outgoing.id, server: incoming.id };
}

/** Makes ssh2 forget a channel. */
export function forgetChannel(connection: Connection, serverId: number): void {
  (connection as unknown as { _chanMgr: { remove(id: number): void } })._chanMgr.remove(serverId);
}
