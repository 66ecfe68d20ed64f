import type { Duplex } from "node:stream";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { harmless } from "../../lifetime/tail.ts";
import type { ConnectOptions } from "../connect-options.ts";
import { type DestinationParts, describeTarget, type Target } from "../destination.ts";
import type { OwnedConnection } from "../owned-connection.ts";
import { type Errand, failedHop, lostWithHop, type OpenHop } from "./errand.ts";
import { PairedStream } from "./paired-stream.ts";
import { listHops } from "./parse-hops.ts";
import type { Way } from "./way.ts";

/** How long to wait, when a channel has ended, for the news that its connection has: then it is known why. */
const NEWS_MS = 100;

/**
 * Goes through jump hosts: connects to the last of them, through those before it, and from there to the target. Each
 * hop is connected to by its own configuration, as OpenSSH does: what the caller said about the target's keys, ports
 * and host key does not count for it.
 *
 * @param hops nearest first, at least one
 * @throws {PluginError} what connecting to a hop threw, naming the hop; `forward-forbidden` or `connect-failed` if it
 *   does not connect to the target
 */
export async function jump(
  hops: readonly DestinationParts[],
  target: Target,
  options: ConnectOptions,
  errand: Errand,
  openHop: OpenHop,
  signal: AbortSignal,
): Promise<Way> {
  const last = hops.at(-1) as DestinationParts;
  const before = listHops(hops.slice(0, -1));
  const hop = await openHop(last, hopOptions(options, before, errand), errand, signal).catch((failure) => {
    throw failure instanceof PluginError ? failedHop(failure, `jump host ${listHops([last])}`, errand) : failure;
  });
  try {
    errand.entered({ phase: "dialling", target });
    const { host, port } = target;
    const stream = await hop.openStream({ network: "tcp", host, port }, signal);
    return through(hop, stream, target);
  } catch (failure) {
    await hop.close();
    throw failure instanceof PluginError ? refusedBy(hop, failure, errand, target) : failure;
  }
}

/**
 * What a hop inherits: where its configuration is, and who is asked. Everything else is its own configuration's, as with
 * `ssh -J`.
 *
 * @param before the hops before it; if there are none, it may have some by its own configuration
 */
function hopOptions(options: ConnectOptions, before: string, { pausedDuring }: Errand): ConnectOptions {
  const { configFile, backend, batchMode, onNotice, passphrase, password, keyboardInteractive, confirmHostKey } =
    options;
  return {
    ...(configFile === undefined ? {} : { configFile }),
    ...(backend && { backend }),
    ...(batchMode && { batchMode }),
    ...(onNotice && { onNotice }),
    ...(before !== "" && { proxyJump: before }),
    ...(passphrase && { passphrase: (question) => pausedDuring(() => passphrase(question)) }),
    ...(password && { password: (question) => pausedDuring(() => password(question)) }),
    ...(keyboardInteractive && {
      keyboardInteractive: (question) => pausedDuring(() => keyboardInteractive(question)),
    }),
    ...(confirmHostKey && { confirmHostKey: (question) => pausedDuring(() => confirmHostKey(question)) }),
  };
}

function through(hop: OwnedConnection, channel: Duplex, target: Target): Way {
  const stream: PairedStream = new PairedStream(channel, channel, (end) => {
    // Who ended it himself needs no reason.
    if (stream.writableEnded) end();
    else void within({ timeoutMs: NEWS_MS, until: [hop.lost] }, () => new Promise<never>(() => {})).catch(end);
  });
  const broken = new AbortController();
  const onLost = () => {
    broken.abort(lostWithHop(hop.lost.reason as PluginError, target));
    stream.destroy();
  };
  hop.lost.addEventListener("abort", onLost, { once: true });
  if (hop.lost.aborted) onLost();
  return {
    stream,
    broken: broken.signal,
    hold: (keepAlive) => hop.hold(keepAlive),
    explain: (failure) => (broken.signal.aborted ? (broken.signal.reason as PluginError) : failure),
    close: () => {
      stream.on("error", () => {}).destroy();
      return hop.close();
    },
  };
}

/** The error for a hop that was reached and did not connect any further. */
function refusedBy(hop: OwnedConnection, failure: PluginError, errand: Errand, target: Target): PluginError {
  const to = describeTarget(target);
  switch (failure.code) {
    case "forward-forbidden":
      return new PluginError("forward-forbidden", `The jump host ${hop.name} forbids connections to ${to}.`, {
        cause: failure,
        hint:
          "Look at AllowTcpForwarding, PermitOpen and DisableForwarding in its sshd_config, and at `restrict`, " +
          "`no-port-forwarding` and `permitopen` in its authorized_keys.",
      });
    case "forward-failed":
    case "unsupported": {
      const said = harmless((failure.cause as Error).message.replace("(SSH) Channel open failure: ", ""));
      return new PluginError("connect-failed", `${to} cannot be reached from the jump host ${hop.name}: ${said}.`, {
        cause: failure,
        hint: "The name and the port are looked for from there: check that the jump host reaches them.",
      });
    }
    default:
      return failedHop(failure, `jump host ${hop.name}`, errand);
  }
}
