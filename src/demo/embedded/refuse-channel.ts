import type { RejectConnection } from "ssh2";
import type { Visit } from "./box.ts";
import { packetsOf } from "./ssh2-inside.ts";

/** Why a channel is not opened: the reason's number in SSH, and OpenSSH's text for it. */
export interface Refusal {
  readonly reason: number;
  readonly text: string;
}

/** sshd's answer to what its configuration forbids. */
export const FORBIDDEN: Refusal = { reason: 1, text: "open failed" };

/** sshd's answer to what did not work, where it does not say more. */
export const FAILED: Refusal = { reason: 2, text: "open failed" };

/** A server's answer to a kind of channel that it does not know (RFC 4254 §5.1), in the words of Go's x/crypto. */
export const UNKNOWN: Refusal = { reason: 3, text: "unsupported channel type" };

/** Refuses to open a channel as sshd does. ssh2's own `reject` sends no text, and reason 2 only. */
export function refuseChannel({ connection, over }: Visit, reject: RejectConnection, refusal: Refusal): void {
  if (over.aborted) return;
  const packets = packetsOf(connection);
  const send = packets.channelOpenFail;
  packets.channelOpenFail = (channelId) => send.call(packets, channelId, refusal.reason, refusal.text);
  try {
    reject();
  } finally {
    packets.channelOpenFail = send;
  }
}
