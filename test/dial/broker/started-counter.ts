import { chmodSync, copyFileSync, existsSync, linkSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient } from "@connectrpc/connect";
import { PluginError } from "../../../src/contract/errors.ts";
import type { Runner } from "../../../src/contract/runner.ts";
import { GrpcBroker } from "../../../src/dial/broker/grpc-broker.ts";
import { openPluginStream } from "../../../src/dial/open-plugin-stream.ts";
import { PluginChannel } from "../../../src/dial/plugin-channel.ts";
import { YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { createCertificate } from "../../../src/handshake/certificates.ts";
import { pluginEnvironment } from "../../../src/handshake/environment.ts";
import { parseHandshakeLine } from "../../../src/handshake/handshake-line.ts";
import { readHandshakeLine } from "../../../src/handshake/read-handshake.ts";
import type { Bench } from "../../contract/runner-kinds.ts";
import { Counter } from "../../plugins/gen/counter_pb.ts";
import { buildProgram } from "../../plugins/go-plugins.ts";

const NEVER = new AbortController().signal;

/** How host and plugin talk. */
export interface Manner {
  autoMtls: boolean;
  /** Everything goes through one connection. */
  multiplex: boolean;
}

/** The plugin `counter` with a broker at its side. Disposing it ends both. */
export interface StartedCounter extends AsyncDisposable {
  readonly runner: Runner;
  readonly broker: GrpcBroker;
  readonly counter: Client<typeof Counter>;
  /** What everything goes through, if it does. */
  readonly session: YamuxSession | undefined;
  /** Where the host's sockets are. */
  readonly sockets: string;
}

/** Starts `counter` on a bench, as `Client` starts a plugin. */
export async function startCounter(bench: Bench, { autoMtls, multiplex }: Manner): Promise<StartedCounter> {
  const program = await counterOn(bench);
  const certificate = autoMtls ? createCertificate({ curve: "P-256" }) : undefined;
  const environment = pluginEnvironment({
    magicCookieKey: "COUNTER_PLUGIN_COOKIE",
    magicCookieValue: "counter",
    protocolVersions: [1],
    multiplex,
    clientCertificatePem: certificate?.certificatePem,
  });
  const runner = bench.runner({ command: [program], environment });
  await runner.start();
  runner.stderr.resume();
  const line = await readHandshakeLine({
    stdout: runner.stdout,
    exited: runner.wait(),
    timeoutMs: 30_000,
    diagnose: (signal) => runner.diagnose(signal),
  });
  const { address, certificate: pluginCertificate } = parseHandshakeLine(line);
  const tls =
    certificate && pluginCertificate
      ? { certificatePem: certificate.certificatePem, privateKeyPem: certificate.privateKeyPem, pluginCertificate }
      : undefined;
  const open = (signal: AbortSignal) => openPluginStream(runner, address, signal);
  const session = multiplex ? new YamuxSession(await open(NEVER), { side: "client" }) : undefined;
  const channel = new PluginChannel({ tls, open: session ? async () => session.open() : open });
  await channel.connect(NEVER);
  const sockets = bench.hostTmp;
  const broker = new GrpcBroker({
    transport: channel.transport,
    tls,
    translator: runner,
    multiplexer: session,
    socketDirectory: async () => sockets,
  });
  broker.start();
  runner.wait().then(({ signal }) => channel.close(new PluginError("plugin-exited", `It ended by ${signal}.`)));
  return {
    runner,
    broker,
    session,
    sockets,
    counter: createClient(Counter, channel.transport),
    [Symbol.asyncDispose]: async () => {
      const reason = new PluginError("closed", "The test is over.");
      await broker.close(reason);
      channel.close(reason);
      session?.close(reason);
      await runner.kill();
    },
  };
}

/** The plugin's program in the bench's directory, where any login can read it. */
export async function counterOn(bench: Bench): Promise<string> {
  const path = join(bench.directory, "counter");
  if (existsSync(path)) return path;
  const built = await buildProgram("counter");
  try {
    linkSync(built, path);
  } catch {
    copyFileSync(built, path);
  }
  chmodSync(path, 0o755);
  return path;
}
