import ssh2 from "ssh2";
import type { Story } from "./story.ts";

/** What ssh2 says of a message that somebody waited for, and what that is called here. */
const MESSAGES: readonly (readonly [RegExp, string])[] = [
  [/^Socket connected/, "TCP connection"],
  [/^Remote ident/, "the server's version"],
  [/^Inbound: Handshake in progress/, "KEXINIT"],
  [/^Received DH Reply/, "key exchange, NEWKEYS"],
  [/^Inbound: Received SERVICE_ACCEPT/, "user authentication service"],
  [/^Inbound: Received USERAUTH_PK_OK/, "key acceptable"],
  [/^Inbound: Received USERAUTH_SUCCESS/, "signature accepted"],
  [/^Inbound: GLOBAL_REQUEST \(hostkeys/, "the server's host keys (its next message waits for their ACK)"],
];

/**
 * Has the story told what arrives on every connection of ssh2's that is made from now on. It reads what ssh2 says for
 * those who look for mistakes, and nothing else.
 *
 * @returns what ends that
 */
export function listenToWire(story: Story): () => void {
  const prototype = ssh2.Client.prototype;
  const connect = prototype.connect;
  prototype.connect = function (config) {
    return connect.call(this, { ...config, debug: interpreter(story) });
  };
  return () => {
    prototype.connect = connect;
  };
}

/** Understands the messages of one connection. */
function interpreter(story: Story): (message: string) => void {
  const kinds = new Map<string, string>();
  return (message) => {
    for (const [pattern, what] of MESSAGES) if (pattern.test(message)) story.note(what);
    const [, opened, kind = ""] = /^Outbound: Sending CHANNEL_OPEN \(r:(\d+), ([\w@.-]+)/.exec(message) ?? [];
    if (opened) kinds.set(opened, kind);
    const [, name = "", channel = ""] = /^Inbound: (CHANNEL_\w+) \(r:(\d+)/.exec(message) ?? [];
    const what = channelNews(name, kinds.get(channel) === "session");
    // A supervisor for the next start is made beside this one, and nothing waits for it.
    if (what && !(kinds.get(channel) === "session" && story.knows(LINE))) story.note(what);
  };
}

const LINE = "report and handshake line";

function channelNews(name: string, isSession: boolean): string | undefined {
  if (name === "CHANNEL_OPEN_CONFIRMATION") return isSession ? "session" : "forward";
  if (name === "CHANNEL_SUCCESS") return "command accepted";
  if (name === "CHANNEL_DATA") return isSession ? LINE : "TLS";
  return undefined;
}
