import { PluginError } from "../contract/errors.ts";
import type { Runner } from "../contract/runner.ts";
import { openPluginStream } from "../dial/open-plugin-stream.ts";
import type { OwnTls, PluginTls } from "../dial/secure.ts";
import { type Certificate, createCertificate } from "../handshake/certificates.ts";
import { pluginEnvironment } from "../handshake/environment.ts";
import { type HandshakeLine, parseHandshakeLine } from "../handshake/handshake-line.ts";
import { readHandshakeLine } from "../handshake/read-handshake.ts";
import { within } from "../lifetime/deadline.ts";
import { tooSlow } from "./failures.ts";
import { readPluginLog } from "./log/read-plugin-log.ts";
import { PluginConnection } from "./plugin-connection.ts";
import type { ResolvedClientOptions } from "./resolve-options.ts";
import type { Running } from "./running.ts";
import { whyUnreachable } from "./why-unreachable.ts";

/** go-plugin's variables for one start. @throws {PluginError} `bad-options` */
export function startEnvironment(options: ResolvedClientOptions, certificate?: Certificate): Record<string, string> {
  const { handshakeConfig, sets, minPort, maxPort, grpcBrokerMultiplex, unixSocketConfig } = options;
  return pluginEnvironment({
    magicCookieKey: handshakeConfig.magicCookieKey,
    magicCookieValue: handshakeConfig.magicCookieValue,
    protocolVersions: [...sets.keys()],
    minPort,
    maxPort,
    multiplex: grpcBrokerMultiplex,
    unixSocketGroup: unixSocketConfig.group,
    clientCertificatePem: certificate?.certificatePem,
  });
}

/**
 * Starts a plugin, agrees with it and connects to it.
 *
 * @param made is told the runner as soon as there is one
 * @throws {PluginError} as `Client.start`; the runner has been told to end the plugin then
 */
export async function startPlugin(
  options: ResolvedClientOptions,
  made: (runner: Runner) => void,
  until: { signal: AbortSignal; killed: AbortSignal },
): Promise<Running> {
  const { autoMtls, startTimeoutMs: timeoutMs, logger } = options;
  if (autoMtls) logger.log("debug", "configuring client automatic mTLS");
  const certificate = autoMtls ? createCertificate() : undefined;
  const runner = await makeRunner(options, certificate);
  made(runner);
  const limits = { signal: until.signal, until: [until.killed], timeoutMs, onTimeout: tooSlow };
  try {
    logger.log("debug", "starting plugin", { path: runner.name });
    await within(limits, (over) => runner.start(over));
    logger.log("debug", "plugin started", { path: runner.name, id: runner.id });
    const tap = new AbortController();
    const logged = readPluginLog({
      stderr: runner.stderr,
      logger,
      name: runner.name,
      bufferSize: options.pluginLogBufferSize,
      tap: options.stderr,
      signal: tap.signal,
    });
    // Freshly for the second half, as go-plugin does.
    const running = await within(
      limits,
      (over) => agree(runner, options, certificate, over),
      (late) => late.connection.close(new PluginError("closed", "The start was given up.")),
    );
    return { ...running, logged, dropTap: () => tap.abort() };
  } catch (failure) {
    const how = (failure as Error).message;
    await runner
      .kill()
      .catch((other) => logger.log("warn", "kill after a failed start", { start: how, error: other.message }));
    throw failure;
  }
}

async function makeRunner(options: ResolvedClientOptions, certificate: Certificate | undefined): Promise<Runner> {
  const { runnerFunc, secureConfig, unixSocketConfig } = options;
  if (!runnerFunc) throw new PluginError("bad-options", "`runnerFunc` must be given.");
  const { group } = unixSocketConfig;
  const environment = startEnvironment(options, certificate);
  const runner = await runnerFunc({ environment, ...(group === undefined ? {} : { unixSocketGroup: group }) });
  if (secureConfig) {
    if (!runner.requireChecksum) {
      throw new PluginError("unsupported", "The runner cannot check the plugin's checksum before it starts it.", {
        hint: "Use SshRunner or LocalRunner, or leave `secureConfig` out.",
      });
    }
    runner.requireChecksum(secureConfig);
  }
  return runner;
}

/** From the handshake line to a connection with somebody who has proved to be the plugin. */
async function agree(
  runner: Runner,
  options: ResolvedClientOptions,
  certificate: Certificate | undefined,
  over: AbortSignal,
): Promise<Omit<Running, "logged" | "dropTap">> {
  const { sets, startTimeoutMs, allowedProtocols, grpcBrokerMultiplex: multiplex, unixSocketConfig, logger } = options;
  logger.log("debug", "waiting for RPC address", { path: runner.name });
  const line = await readHandshakeLine({
    stdout: runner.stdout,
    exited: runner.wait(over),
    timeoutMs: startTimeoutMs,
    signal: over,
    diagnose: (signal) => runner.diagnose(signal),
  });
  const expected = { versions: [...sets.keys()], protocols: allowedProtocols, multiplexed: multiplex };
  const handshake = parseHandshakeLine(line, expected);
  if (handshake.protocol === "netrpc") throw noNetRpc();
  const { appProtocolVersion: version, address } = handshake;
  logger.log("debug", "using plugin", { version });
  const tls = chooseTls(certificate, options.tls, handshake);
  const open = (signal: AbortSignal) => openPluginStream(runner, address, signal);
  const { tempDir } = unixSocketConfig;
  const plugin = { runner, tls, open, multiplex, tempDir };
  const connection = await PluginConnection.open(plugin, over).catch(async (failure) => {
    throw await whyUnreachable(failure, runner, over);
  });
  return { runner, version, plugins: sets.get(version) ?? {}, address, side: "plugin", tls, connection };
}

/** With AutoMTLS the plugin must answer with a certificate; it is never spoken to in plaintext instead. */
function chooseTls(
  certificate: Certificate | undefined,
  own: OwnTls | undefined,
  { certificate: answer }: HandshakeLine,
): PluginTls | undefined {
  if (own) return own;
  if (certificate && answer) {
    const { certificatePem, privateKeyPem } = certificate;
    return { certificatePem, privateKeyPem, pluginCertificate: answer };
  }
  if (certificate) {
    throw new PluginError(
      "handshake-failed",
      "The plugin answered AutoMTLS without a certificate, so it would be spoken to in plaintext.",
      {
        hint: "If it does not know AutoMTLS (plugins in Python often do not), set `autoMtls: false`; over SSH the connection is encrypted all the same.",
      },
    );
  }
  if (!answer) return undefined;
  throw new PluginError(
    "handshake-failed",
    "The plugin serves TLS, with a certificate, although it was not asked to.",
    { hint: "Turn `autoMtls` on." },
  );
}

function noNetRpc(): PluginError {
  return new PluginError("unsupported", "The plugin speaks net/rpc, which this host does not.", {
    hint: "net/rpc carries Go's own encoding of values: a host that is written in Go can run it. Or ask for a release with gRPC.",
  });
}
