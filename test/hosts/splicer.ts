// A process that does nothing but stand between two ends of HTTP/2, so that its memory can be looked at.
import { connect as connectHttp2, constants, createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { splice } from "../../src/carry/splice.ts";
import { join } from "../../src/lifetime/join.ts";

/** How connections to `front` are joined with `behind`. */
export interface SplicerOrders {
  /** `proxy` is what one would write first: a server of Node's, and a client of Node's for each connection. */
  how: "splice" | "copy" | "proxy";
  front: string;
  behind: string;
}

const WINDOW = 1024 * 1024;
const { how, front, behind } = JSON.parse(process.env.ORDERS ?? "") as SplicerOrders;

function joined(socket: Socket): void {
  const far = connect({ path: behind, allowHalfOpen: true, noDelay: true });
  if (how === "copy") {
    join(socket, far);
    return;
  }
  const unchanged = async (address: Parameters<Parameters<typeof splice>[2]["fromClient"]>[0]) => address;
  splice(socket, far, { fromClient: unchanged, fromServer: unchanged });
}

function proxied(
  stream: ServerHttp2Stream,
  headers: Record<string, unknown>,
  upstream: ReturnType<typeof connectHttp2>,
) {
  const request = upstream.request(headers as Record<string, string>);
  request.on("response", (answer) => stream.respond(answer, { waitForTrailers: true }));
  let trailers = {};
  request.on("trailers", (more) => {
    trailers = more;
  });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  for (const one of [stream, request]) one.on("error", () => {});
  request.on("close", () => request.rstCode !== constants.NGHTTP2_NO_ERROR && stream.close(request.rstCode));
  stream.pipe(request).pipe(stream);
}

const server =
  how === "proxy"
    ? createHttp2({ settings: { initialWindowSize: WINDOW } })
    : createServer({ allowHalfOpen: true, noDelay: true }, joined);
if (how === "proxy") {
  server.on("session", (session) => {
    session.setLocalWindowSize(WINDOW);
    const upstream = connectHttp2("http://localhost", {
      createConnection: () => connect({ path: behind }),
      settings: { initialWindowSize: WINDOW },
    });
    upstream.on("connect", () => upstream.setLocalWindowSize(WINDOW));
    for (const one of [session, upstream]) one.on("error", () => {});
    session.on("close", () => upstream.destroy());
    session.on("stream", (stream: ServerHttp2Stream, headers: Record<string, unknown>) =>
      proxied(stream, headers, upstream),
    );
  });
}
server.listen(front, () => process.stdout.write('"ready"\n'));
// Asked anything, it says how much memory it had at most; at the end of its input it ends.
createInterface({ input: process.stdin })
  .on("line", () => process.stdout.write(`${Math.round(process.resourceUsage().maxRSS / 1024)}\n`))
  .on("close", () => process.exit(0));
