import type { Duplex, Readable } from "node:stream";
import { type Address, formatAddress } from "../contract/address.ts";
import type { Listener } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import type { RelayLimits } from "./open-relay.ts";
import { endChannel, startRelay } from "./relay-program.ts";
import type { RelayTool } from "./relay-tool.ts";
import type { Exec } from "./run-program.ts";

const LISTEN_MS = 30_000;
/** How long the box may take to remove its sockets before we no longer wait for it. */
const GOODBYE_MS = 3_000;

/** What a listener by relay needs to know. */
export interface RelayListenerOptions {
  tool: RelayTool;
  /** Where to listen; port 0 takes any free one. */
  at: Address;
  /** A fresh path on the box for the socket where relays meet those who arrive. */
  meeting: string;
  /** Connects to an address of the box: opens another relay. */
  connect: (to: Address) => Promise<Duplex>;
  /** Gets each connection that arrives. */
  onStream: (stream: Duplex) => void;
  /** Told why somebody who arrived was sent away. */
  onFailure: (failure: unknown) => void;
}

/**
 * Listens on the box by a program that runs there. The program says that somebody has arrived; another relay goes to
 * meet them, so each connection has an exec channel of its own and the listener one more.
 *
 * @throws {PluginError} `forward-failed` if it cannot listen there, `timeout`, `aborted`, or what `exec` threw
 */
export function listenByRelay(exec: Exec, options: RelayListenerOptions, limits: RelayLimits): Promise<Listener> {
  const { tool, at, meeting } = options;
  const where = formatAddress(at);
  const onTimeout = () => new PluginError("timeout", `The relay that listens on ${where} took over ${LISTEN_MS} ms.`);
  return within(
    { signal: limits.signal, timeoutMs: LISTEN_MS, onTimeout, until: [limits.lost] },
    async (over) => {
      const { channel, output, word } = await startRelay(exec, { tool, task: "listen", address: at, meeting }, over);
      const [, port] = /^listening ?(\d*)$/.exec(word) ?? [];
      if (port === undefined) {
        endChannel(channel);
        output.resume();
        const why = word.replace(/^failed /, "");
        throw new PluginError("forward-failed", `The relay on the box could not listen on ${where}: ${why}.`);
      }
      const sendAway = () => channel.stdin.writable && channel.stdin.write("away\n");
      meetAll(output, options, sendAway);
      const close = async () => {
        channel.stdin.end();
        await within({ timeoutMs: GOODBYE_MS }, () => channel.closed).catch(() => {});
        endChannel(channel);
      };
      return { address: at.network === "tcp" ? { ...at, port: Number(port) } : at, close };
    },
    (late) => late.close(),
  );
}

/** Goes to meet each one who arrives, or has one sent away. */
function meetAll(output: Readable, { meeting, connect, ...on }: RelayListenerOptions, sendAway: () => unknown): void {
  output.on("data", (chunk: Buffer) => {
    for (const byte of chunk) {
      if (byte !== 0x0a) continue;
      connect({ network: "unix", path: meeting }).then(on.onStream, (failure) => {
        sendAway();
        on.onFailure(failure);
      });
    }
  });
}
