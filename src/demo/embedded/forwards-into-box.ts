import { connect, type Socket } from "node:net";
import type { AcceptConnection, RejectConnection, ServerChannel } from "ssh2";
import type { Visit } from "./box.ts";
import { allows } from "./options.ts";
import { FAILED, FORBIDDEN, type Refusal, refuseChannel, UNKNOWN } from "./refuse-channel.ts";
import { note, relay } from "./relay.ts";
import { fitsSocketPath } from "./socket-file.ts";

/** What sshd calls a failure to connect; for others it says no more than that the open failed. */
const TEXTS: Record<string, string> = {
  ECONNREFUSED: "Connection refused",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
  ETIMEDOUT: "Connection timed out",
};

/** Connects the client to TCP ports and unix sockets of the box, as far as the options allow. */
export function serveForwardsIntoBox(visit: Visit): void {
  const { box, connection } = visit;
  const { allowTcpForwarding, allowStreamLocalForwarding, knowsStreamLocal } = box.options;
  connection.on("tcpip", (accept, reject, { destIP, destPort }) => {
    if (box.hangAt === "channel") return;
    if (!allows(allowTcpForwarding, "local")) return refuseChannel(visit, reject, FORBIDDEN);
    const socket = connect({ host: destIP, port: destPort, allowHalfOpen: true, noDelay: true });
    open(visit, { socket, what: `to ${destIP}:${destPort}`, accept, reject, toRefusal: nameFailure });
  });
  connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
    if (box.hangAt === "channel") return;
    if (!knowsStreamLocal) return refuseChannel(visit, reject, UNKNOWN);
    // sshd refuses unix sockets too where TCP is forbidden, and gives no reason for it.
    const allowed = allows(allowTcpForwarding, "local") && allows(allowStreamLocalForwarding, "local");
    if (!allowed || !fitsSocketPath(socketPath)) return refuseChannel(visit, reject, FAILED);
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    open(visit, { socket, what: `to ${socketPath}`, accept, reject, toRefusal: () => FAILED });
  });
}

/** What one open takes. */
interface Opening {
  socket: Socket;
  what: string;
  accept: AcceptConnection<ServerChannel>;
  reject: RejectConnection;
  toRefusal: (failure: NodeJS.ErrnoException) => Refusal;
}

/** Opens the channel when the socket is connected, or refuses it when that failed. */
function open(visit: Visit, { socket, what, accept, reject, toRefusal }: Opening): void {
  note(visit, socket, what);
  const onFailure = (failure: NodeJS.ErrnoException) => refuseChannel(visit, reject, toRefusal(failure));
  socket.once("error", onFailure);
  socket.once("connect", () => {
    if (visit.over.aborted) return void socket.destroy();
    relay(visit, accept(), socket, what);
    socket.removeListener("error", onFailure);
  });
}

function nameFailure({ code = "" }: NodeJS.ErrnoException): Refusal {
  return { reason: FAILED.reason, text: TEXTS[code] ?? FAILED.text };
}
