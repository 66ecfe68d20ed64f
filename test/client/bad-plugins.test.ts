import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, Writable } from "node:stream";
import { ConnectError, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import type { Logger } from "../../src/client/log/logger.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { createCertificate, encodeCertificateField } from "../../src/handshake/certificates.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { eventually } from "../tools/eventually.ts";
import { openSockets } from "../tools/leaks.ts";
import { type Cut, CutStream } from "./cut-stream.ts";
import { HANDSHAKE } from "./started-client.ts";
import { StubPlugin } from "./stub-plugin.ts";

const CERTIFICATE = createCertificate();
const FIELD = encodeCertificateField(CERTIFICATE.der);

let before: Record<string, number> = {};
/** Ends each plugin of the test and its client. */
let ends: (() => Promise<void>)[] = [];

beforeEach(() => {
  before = openSockets();
  ends = [];
});

// A rejection that nobody handles fails the run; what is still open fails the test.
afterEach(async () => {
  await Promise.all(ends.map((end) => end()));
  const more = () => Object.entries(openSockets()).filter(([kind, count]) => count > (before[kind] ?? 0));
  await eventually(() => more().length === 0, { what: "all sockets to be closed", state: more, timeoutMs: 20_000 });
});

/** A plugin in this process, and a client for it. */
function host({
  tls = true,
  line,
  ...options
}: Partial<Omit<ClientOptions, "tls">> & { tls?: boolean; line?: string } = {}) {
  const directory = mkdtempSync(join(tmpdir(), "gpt"));
  const plugin = new StubPlugin(
    directory,
    (router) => {
      router.service(KV, { echo: ({ payload }) => ({ payload }) });
    },
    line ?? `1|1|unix|ADDRESS|grpc|${tls ? FIELD : ""}\n`,
    tls ? CERTIFICATE : undefined,
  );
  const client = new Client({
    handshakeConfig: HANDSHAKE,
    autoMtls: tls,
    shutdownTimeoutMs: 100,
    runnerFunc: () => plugin,
    ...options,
  } as ClientOptions);
  const end = async () => {
    await client.kill();
    await plugin[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  };
  ends.push(end);
  return { plugin, client };
}

describe("a sixth field that is", () => {
  const padded = `${FIELD}=`;
  const urlSafe = FIELD.replaceAll("+", "-").replaceAll("/", "_");

  test.each([
    ["padded", padded],
    ["in the alphabet for URLs", urlSafe],
    ["half a certificate", FIELD.slice(0, 400)],
    ["no certificate", Buffer.from("hello").toString("base64").replaceAll("=", "")],
  ])("%s is refused before anybody connects", async (_what, field) => {
    const { plugin, client } = host({ line: `1|1|unix|ADDRESS|grpc|${field}\n` });
    expect((await failureOf(client.start())).code).toBe("handshake-failed");
    expect(plugin.calls).toEqual(["start", "kill"]);
  });

  test("the certificate of another plugin is refused, and nothing is sent", async () => {
    const other = encodeCertificateField(createCertificate().der);
    const { plugin, client } = host({ line: `1|1|unix|ADDRESS|grpc|${other}\n` });
    expect(await failureOf(client.start())).toMatchObject({
      code: "handshake-failed",
      message: expect.stringContaining("Somebody else answers"),
    });
    expect(plugin.calls).toEqual(["start", "openStream", "kill"]);
    await eventually(() => plugin.sessions.size === 0, { what: "the connection to go" });
  });

  test("its own is taken", async () => {
    const { client } = host();
    await createClient(KV, await client.start()).echo({});
  });
});

test("a handshake line that breaks off anywhere is a failed start", async () => {
  const whole = "1|1|unix|/nobody/is/here|grpc|";
  for (let length = 0; length <= whole.length; length += 1) {
    const { plugin, client } = host({ tls: false, line: whole.slice(0, length) });
    plugin.openStream = () => Promise.reject(new PluginError("forward-failed", "Nobody listens there."));
    const starting = failureOf(client.start());
    await eventually(() => plugin.id !== "", { what: "the plugin to run" });
    plugin.exit({ code: 1, signal: null });
    const failure = await starting;
    // A whole line of a plugin that has ended leads to an address where nobody listens.
    expect(["handshake-failed", "plugin-exited", "forward-failed"], failure.message).toContain(failure.code);
  }
});

describe.each([
  ["TLS", true, 4_000, 80],
  ["plaintext", false, 260, 4],
] as const)("over %s, a plugin whose connections all", (_what, tls, most, step) => {
  test.each(["end", "reset"] as const)("%s after some bytes", { timeout: 120_000 }, async (cut) => {
    const lengths = Array.from({ length: Math.ceil(most / step) }, (_, n) => n * step);
    const outcomes = await Promise.all(lengths.map((length) => meet(tls, length, cut)));
    expect(outcomes.filter((outcome) => !OUTCOMES.has(outcome))).toEqual([]);
    // The shortest fail to start, the longest do all that is asked of them.
    expect(new Set(outcomes).has("connection-lost")).toBe(true);
    expect(outcomes[0]).not.toBe("answered");
    expect(outcomes.at(-1)).toBe("answered");
  });
});

const OUTCOMES = new Set(["answered", "handshake-failed", "connection-lost"]);

/** Starts and calls a plugin whose connections break after `length` bytes each: how that went, as a code. */
async function meet(tls: boolean, length: number, cut: Cut): Promise<string> {
  const { plugin, client } = host({ tls });
  const { openStream } = plugin;
  const streams: Duplex[] = [];
  plugin.openStream = async (address, signal) => {
    if (!openStream) throw new TypeError("The stub gives streams.");
    const stream = await openStream(address, signal);
    streams.push(stream);
    return new CutStream(stream, length, cut);
  };
  try {
    const kv = createClient(KV, await client.start());
    await kv.echo({ payload: Buffer.from("hello") });
    return "answered";
  } catch (failure) {
    const reason = failure instanceof PluginError ? failure : ConnectError.from(failure).cause;
    return reason instanceof PluginError ? reason.code : String(failure);
  } finally {
    await client.kill();
    await eventually(() => streams.every(({ destroyed }) => destroyed), { what: "the host to let go of every stream" });
  }
}

test("a line of 10 MB on stderr comes in pieces, and holds up nothing", async () => {
  const pieces: string[] = [];
  let tapped = 0;
  const tap = new Writable({
    write: (chunk, _encoding, done) => {
      tapped += chunk.length;
      setImmediate(done);
    },
  });
  const logger: Logger = {
    isEnabled: () => true,
    log: (_level, message) => {
      if (message.startsWith("xxx")) pieces.push(message);
    },
    named: () => logger,
  };
  const { plugin, client } = host({ stderr: tap, logger });
  const kv = createClient(KV, await client.start());
  const line = Buffer.alloc(10_000_000, "x");
  plugin.stderr.write(line);
  await kv.echo({ payload: Buffer.from("still there?") });
  plugin.stderr.write("\n");
  const length = () => pieces.reduce((sum, piece) => sum + piece.length, 0);
  await eventually(() => tapped === line.length + 1 && length() === line.length, {
    what: "all of it",
    state: () => [tapped, length()],
    timeoutMs: 20_000,
  });
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(65_536);
  expect(tap.writableEnded).toBe(false);
});
