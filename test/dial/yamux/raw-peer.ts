import type { Duplex } from "node:stream";
import { type Frame, HEADER_BYTES, writeHeader } from "../../../src/dial/yamux/frame.ts";
import { FrameReader } from "../../../src/dial/yamux/frame-reader.ts";
import { type YamuxOptions, YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { eventually } from "../../tools/eventually.ts";
import { duplexPair } from "./pair.ts";

/** A frame that the session sent, with its body. */
export interface SentFrame extends Frame {
  body: Buffer;
}

/** The other side of a session, played by hand: it sends any bytes, and shows what the session sends. */
export class RawPeer implements AsyncDisposable {
  readonly session: YamuxSession;
  /** What the session has sent so far. */
  readonly sent: SentFrame[] = [];
  readonly end: Duplex;

  constructor(options: Partial<YamuxOptions> = {}) {
    const [own, end] = duplexPair();
    this.end = end;
    const reader = new FrameReader({
      onFrame: (frame) => void this.sent.push({ ...frame, body: Buffer.alloc(0) }),
      onBody: (piece) => {
        const last = this.sent.at(-1) as SentFrame;
        last.body = Buffer.concat([last.body, piece]);
      },
    });
    end.on("data", (chunk: Buffer) => reader.read(chunk));
    end.on("error", () => {});
    end.on("end", () => end.end());
    this.session = new YamuxSession(own, { side: "client", keepAliveIntervalMs: 0, ...options });
  }

  /** Sends a frame. A body is announced in the header unless the frame says another length. */
  send(type: number, flags: number, streamId: number, body: Buffer | number = 0, length?: number): void {
    const bytes = typeof body === "number" ? Buffer.alloc(0) : body;
    this.end.write(Buffer.concat([header(type, flags, streamId, length ?? (Number(body) || bytes.length)), bytes]));
  }

  /** Waits for a frame that the session sends. */
  until(type: number, flags: number, streamId: number): Promise<SentFrame> {
    return eventually(
      () => this.sent.find((frame) => frame.type === type && frame.flags === flags && frame.streamId === streamId),
      { what: `frame ${type}/${flags} for ${streamId}`, timeoutMs: 20_000, state: () => this.sent },
    );
  }

  /** Waits until the session is over, and gives its reason. */
  async over(): Promise<unknown> {
    await eventually(() => this.session.over.aborted, { what: "the session's end", timeoutMs: 20_000 });
    return this.session.over.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
  }
}

/** The twelve bytes of a header. */
export function header(type: number, flags: number, streamId: number, length: number): Buffer {
  const target = Buffer.alloc(HEADER_BYTES);
  writeHeader(target, 0, { type, flags, streamId, length });
  return target;
}
