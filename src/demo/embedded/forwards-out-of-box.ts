import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { ServerCallback, SocketBindInfo, TcpipBindInfo } from "ssh2";
import { type Visit, whenOver } from "./box.ts";
import type { Entry } from "./ledger.ts";
import { allows } from "./options.ts";
import { note, relay } from "./relay.ts";
import { closeAndKeep, fitsSocketPath, keepPrivate } from "./socket-file.ts";

/** How a global request is answered; nothing to do where the client wants no answer. */
interface Answer {
  yes(port?: number): void;
  no(): void;
}

/** Listens on the box for the client, as far as the options allow, and cancels again. */
export function serveForwardsOutOfBox(visit: Visit): void {
  const { box, connection } = visit;
  const { allowTcpForwarding, allowStreamLocalForwarding, knowsStreamLocal } = box.options;
  const tcp = allows(allowTcpForwarding, "remote");
  const unix = tcp && knowsStreamLocal && allows(allowStreamLocalForwarding, "remote");
  const listeners = new Map<string, Entry>();
  const cancel = (what: string, answer: Answer) => {
    const listener = listeners.get(what);
    listener?.close();
    if (listener) answer.yes();
    else answer.no();
  };
  connection.on("request", (accept, reject, name: string, info: TcpipBindInfo | SocketBindInfo) => {
    if (box.hangAt === "forward") return;
    const answer: Answer = { yes: accept ?? (() => {}), no: reject ?? (() => {}) };
    if ("bindPort" in info && name === "tcpip-forward") {
      if (tcp) listenTcp(visit, listeners, info, answer);
      else answer.no();
    } else if ("socketPath" in info && name === "streamlocal-forward@openssh.com") {
      if (unix && fitsSocketPath(info.socketPath)) listenUnix(visit, listeners, info.socketPath, answer);
      else answer.no();
    } else {
      cancel("bindPort" in info ? `tcp:${info.bindAddr}:${info.bindPort}` : `unix:${info.socketPath}`, answer);
    }
  });
}

/** Listens on the loopback interface whatever `bindAddr` says, as sshd does without `GatewayPorts`. */
function listenTcp(
  visit: Visit,
  listeners: Map<string, Entry>,
  { bindAddr, bindPort }: TcpipBindInfo,
  answer: Answer,
): void {
  let port = bindPort;
  const server = accepting(visit, `from ${bindAddr}:${bindPort}`, ({ remoteAddress, remotePort }, opened) => {
    visit.connection.forwardOut(bindAddr, port, remoteAddress ?? "127.0.0.1", remotePort ?? 0, opened);
  });
  listen(server, { host: "127.0.0.1", port: bindPort }, answer, () => {
    const address = server.address();
    if (typeof address === "object" && address) port = address.port;
    remember(visit, listeners, { what: `tcp:${bindAddr}:${port}`, close: () => server.close() });
    answer.yes(port);
  });
}

function listenUnix(visit: Visit, listeners: Map<string, Entry>, path: string, answer: Answer): void {
  const server = accepting(visit, `from ${path}`, (_socket, opened) => {
    visit.connection.openssh_forwardOutStreamLocal(path, opened);
  });
  listen(server, { path }, answer, () => {
    const { ledger } = visit.box;
    ledger.socketFiles.set(path, keepPrivate(path));
    remember(visit, listeners, { what: `unix:${path}`, close: () => closeAndKeep(server, path) });
    answer.yes();
  });
}

/** A server that opens a channel to the client for each connection. */
function accepting(visit: Visit, what: string, openChannel: (socket: Socket, opened: ServerCallback) => void): Server {
  return createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    note(visit, socket, what);
    if (visit.over.aborted) return void socket.destroy();
    openChannel(socket, (failure, channel) => {
      if (failure) return void socket.destroy();
      relay(visit, channel, socket, what);
    });
  });
}

/** Listens, then calls `onListening`, or answers no. */
function listen(server: Server, at: ListenOptions, answer: Answer, onListening: () => void): void {
  const onFailure = () => answer.no();
  server.once("error", onFailure);
  server.listen(at, () => {
    server.removeListener("error", onFailure);
    // A listener without it would end the process when a descriptor is missing.
    server.on("error", () => {});
    onListening();
  });
}

/** Enters a listener in the books; it goes with its visit, or when it is cancelled. */
function remember(visit: Visit, listeners: Map<string, Entry>, { what, close }: Entry): void {
  const { ledger } = visit.box;
  let forget = () => {};
  const entry: Entry = {
    what,
    close: () => {
      if (!listeners.delete(what)) return;
      close();
      strike();
      forget();
    },
  };
  const strike = ledger.enter(ledger.forwards, entry);
  listeners.set(what, entry);
  visit.box.options.log(`listening on ${what}`);
  forget = whenOver(visit, () => entry.close());
}
