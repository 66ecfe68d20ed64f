import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { connect, isIP, type Socket, type TcpNetConnectOpts } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { abortError } from "../../lifetime/deadline.ts";
import type { ConnectOptions } from "../connect-options.ts";
import { describeTarget, type Target } from "../destination.ts";
import { connectionError, type VendorError } from "../ssh2-errors.ts";
import type { Way } from "./way.ts";

const debug = createDebug("go-plugin-ssh:connect");

/** As OpenSSH. */
const BETWEEN_ATTEMPTS_MS = 1_000;
const FAMILIES = { any: 0, inet: 4, inet6: 6 } as const;

/** What the address family, the address to connect from and the like have to say. */
export type DialOptions = Pick<ConnectOptions, "addressFamily" | "bindAddress" | "connectionAttempts" | "tcpKeepAlive">;

/**
 * Connects by TCP. Who cannot be reached is tried again `connectionAttempts` times, a second apart; a name that is not
 * known is not.
 *
 * @throws {PluginError} `connect-failed`, `config-error` for an address to connect from that is not ours, or `aborted`
 */
export async function dialTcp(target: Target, options: DialOptions, signal: AbortSignal): Promise<Way> {
  const { connectionAttempts = 1 } = options;
  const where = await dialOptions(target, options);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return over(await dial(where, signal));
    } catch (failure) {
      if (signal.aborted) throw abortError(signal);
      if (attempt >= connectionAttempts || !isUnreachable(failure)) {
        throw connectionError(failure as VendorError, "dialling", target);
      }
      debug("%s: %s; once more", describeTarget(target), (failure as Error).message);
      await delay(BETWEEN_ATTEMPTS_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw abortError(signal);
    }
  }
}

async function dialOptions(
  { host, port }: Target,
  { addressFamily = "any", bindAddress, tcpKeepAlive = true }: DialOptions,
): Promise<TcpNetConnectOpts> {
  const localAddress = bindAddress === undefined ? undefined : await ownAddress(bindAddress, FAMILIES[addressFamily]);
  // An address has a family, and what is connected from it has the same.
  const family = FAMILIES[addressFamily] || (localAddress ? isIP(localAddress) : 0);
  // Nagle's algorithm would hold each small packet back for 40 ms; told to the socket at once, it costs no round trip.
  return { host, port, family, noDelay: true, keepAlive: tcpKeepAlive, ...(localAddress ? { localAddress } : {}) };
}

/** The address behind `bindAddress`, which may be a name. */
async function ownAddress(bindAddress: string, family: number): Promise<string> {
  if (isIP(bindAddress)) return bindAddress;
  try {
    return (await lookup(bindAddress, { family })).address;
  } catch (cause) {
    throw new PluginError("config-error", `\`bindAddress\` is ${JSON.stringify(bindAddress)}, which is no address.`, {
      cause,
      hint: "Give an address of this machine.",
    });
  }
}

/** A socket that is connected; nothing has been read of it. */
async function dial(options: TcpNetConnectOpts, signal: AbortSignal): Promise<Socket> {
  const socket = connect(options);
  try {
    await once(socket, "connect", { signal });
    // It is nobody's until it is handed over, a turn later.
    return socket.on("error", () => {});
  } catch (failure) {
    socket.on("error", () => {}).destroy();
    throw failure;
  }
}

/** Whether somebody else may be reached in a second: a name that is not known will not be then. */
function isUnreachable(failure: unknown): boolean {
  const { syscall, errors } = failure as NodeJS.ErrnoException & { errors?: unknown };
  return syscall === "connect" || errors !== undefined;
}

function over(stream: Socket): Way {
  const gone = new Promise<void>((resolve) => stream.once("close", () => resolve()));
  return {
    stream,
    hold: (keepAlive) => void (keepAlive ? stream.ref() : stream.unref()),
    explain: (failure) => failure,
    close: () => {
      stream.destroy();
      return gone;
    },
  };
}
