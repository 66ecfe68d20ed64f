import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { PluginError } from "../../src/contract/errors.ts";
import { createCertificate, encodeCertificateField } from "../../src/handshake/certificates.ts";
import type { Bench, RunnerKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { eventually } from "../tools/eventually.ts";
import { type Difference, HANDSHAKE, hostKv } from "./started-client.ts";

const NO_LINES = "Failed to read any lines from plugin's stdout";

/** Plugins and hosts that do not come together: the difference, the code, what the error tells, and what never. */
const FAILURES: [name: string, difference: Difference, code: string, tells: (string | RegExp)[], never?: RegExp][] = [
  [
    "a plugin that exits",
    { flags: ["-exit", "7"] },
    "handshake-failed",
    [
      /^\[handshake-failed\] Unrecognized remote plugin message: \n/,
      NO_LINES,
      "This usually means",
      "Ended with: exit code 7",
      "kv: leaving with code 7, as -exit says",
      /Look at the plugin's stderr/,
    ],
  ],
  [
    "a plugin that exits with 0",
    { flags: ["-exit", "0"] },
    "handshake-failed",
    ["Unrecognized remote plugin message: ", NO_LINES, "Ended with: exit code 0"],
  ],
  [
    "a plugin that says something else",
    { flags: ["-garbage"] },
    "handshake-failed",
    ["Unrecognized remote plugin message: this is not a handshake", "nothing may be printed before it"],
    new RegExp(NO_LINES),
  ],
  [
    "a plugin that says something else first",
    { flags: ["-noise", "hello | world"] },
    "handshake-failed",
    ["Unrecognized remote plugin message: hello | world"],
  ],
  [
    "noise that would take over a terminal",
    { flags: ["-noise", "\x1b]0;owned\x07\x1b[31mred\u202e"] },
    "handshake-failed",
    ["Unrecognized remote plugin message: ", "owned", "red"],
    /[\x00-\x08\x0b-\x1f\x7f\u202e]/,
  ],
  [
    "a plugin that says nothing",
    { flags: ["-silent"], startTimeoutMs: 1500 },
    "timeout",
    ["timeout while waiting for plugin to start"],
  ],
  [
    "a line without end",
    { flags: ["-long-line"] },
    "handshake-failed",
    ["Unrecognized remote plugin message: ", NO_LINES],
    /x{5000}/,
  ],
  [
    "versions that do not meet",
    { versionedPlugins: { 5: {}, 4: {} } },
    "handshake-failed",
    [/incompatible API version with plugin\. Plugin version: 1, Client versions: \[[54 ]{3}\]/],
  ],
  [
    "a wrong cookie",
    { handshakeConfig: { ...HANDSHAKE, magicCookieValue: "other" } },
    "handshake-failed",
    [
      "Unrecognized remote plugin message: ",
      NO_LINES,
      "Ended with: exit code 1",
      "This binary is a plugin. These are not meant to be executed directly.",
    ],
  ],
  [
    "a plugin that answers AutoMTLS without a certificate",
    { flags: ["-empty-cert"] },
    "handshake-failed",
    ["would be spoken to in plaintext", "`autoMtls: false`"],
  ],
  [
    "a plugin that serves TLS unasked",
    { autoMtls: false, runner: { environment: { PLUGIN_CLIENT_CERT: createCertificate().certificatePem } } },
    "handshake-failed",
    ["serves TLS", "Turn `autoMtls` on"],
  ],
  [
    "a program that is not there",
    { wrapper: ["/no/such/program"] },
    "plugin-not-started",
    ["there is no such command on the box"],
  ],
];

/** How a start fails. */
export function handshakeContract(kind: RunnerKind): void {
  describe("a start fails with", () => {
    test.each(FAILURES)("%s", async (_name, difference, code, tells, never) => {
      await using bench = await kind.open();
      await using hosted = await hostKv(bench, difference);
      const failure = await failureOf(hosted.client.start());
      expect(failure.code, failure.message).toBe(code);
      for (const part of tells) {
        if (typeof part === "string") expect(failure.message).toContain(part);
        else expect(failure.message).toMatch(part);
      }
      if (never) expect(failure.message).not.toMatch(never);
      // The plugin is gone without another word.
      expect(() => hosted.client.transport).toThrow(expect.objectContaining({ code: "closed" }));
      await hosted.runner.wait().catch(() => {});
    });
  });

  describe("a start sends nothing", () => {
    test("to a plugin that answered AutoMTLS without a certificate", async () => {
      await using bench = await kind.open();
      const record = recordFile(bench);
      await using hosted = await hostKv(bench, { wrapper: [...bench.command("records.mjs", record, "")] });
      expect((await failureOf(hosted.client.start())).code).toBe("handshake-failed");
      expect(readFileSync(record, "latin1")).toBe("");
    });

    test("of HTTP/2 to somebody with another certificate", async () => {
      await using bench = await kind.open();
      const record = recordFile(bench);
      const [shown, used] = [createCertificate(), createCertificate()];
      const [key, certificate] = [join(bench.directory, "key"), join(bench.directory, "certificate")];
      for (const [path, text] of [
        [key, used.privateKeyPem],
        [certificate, used.certificatePem],
      ] as const) {
        writeFileSync(path, text);
        chmodSync(path, 0o644);
      }
      const stub = (field: string) => ({
        wrapper: [...bench.command("records.mjs", record, field, key, certificate)],
        shutdownTimeoutMs: 100,
      });
      await using impostor = await hostKv(bench, stub(encodeCertificateField(shown.der)));
      const failure = await failureOf(impostor.client.start());
      expect(failure.code).toBe("handshake-failed");
      expect(failure.message).toContain("Somebody else answers at the plugin's address");
      expect(readFileSync(record, "latin1")).toMatch(/^(connected\n)?$/);

      // The same stub with the right certificate is spoken to, so the record does record.
      await using honest = await hostKv(bench, stub(encodeCertificateField(used.der)));
      await honest.client.start();
      await eventually(() => /connected\nPRI \* HTTP\/2\.0\r\n/.test(readFileSync(record, "latin1")), {
        what: "HTTP/2 to be spoken",
      });
      await honest.client.kill();
    });

    test("to a real plugin whose certificate was exchanged on the way", async () => {
      await using bench = await kind.open();
      const field = encodeCertificateField(createCertificate().der);
      await using hosted = await hostKv(bench, { wrapper: [...bench.command("swaps-certificate.sh", field)] });
      const failure = await failureOf(hosted.client.start());
      expect(failure.code).toBe("handshake-failed");
      expect(failure.message).toContain("Somebody else answers at the plugin's address");
    });
  });

  describe("a plugin that refuses our certificate", () => {
    test.each([false, true])("is told from one that is gone, by each call; multiplexed: %s", async (multiplexed) => {
      await using bench = await kind.open();
      // It trusts somebody else, and is the one that its handshake line says.
      const environment = { PLUGIN_CLIENT_CERT: createCertificate().certificatePem };
      const options = { grpcBrokerMultiplex: multiplexed, shutdownTimeoutMs: 200 };
      await using hosted = await hostKv(bench, { runner: { environment }, ...options });
      await hosted.client.start();
      for (const call of [() => hosted.kv.echo({}), () => hosted.kv.echo({})]) {
        const failure = await call().catch((error) => error);
        expect(failure, failure.message).toBeInstanceOf(ConnectError);
        expectRefused(failure.cause);
        expect(failure.code).toBe(Code.Unavailable);
      }
      expectRefused(await failureOf(hosted.client.ping()));
    });
  });

  describe("a start", () => {
    test("may be tried again after a failed one, with a new runner", async () => {
      await using bench = await kind.open();
      const flags = ["-exit", "3"];
      await using hosted = await hostKv(bench, { flags });
      expect((await failureOf(hosted.client.start())).code).toBe("handshake-failed");
      flags.length = 0;
      await hosted.client.start();
      expect(hosted.runners.length).toBe(2);
      await hosted.kv.put({ key: "a", value: Buffer.from("b") });
    });

    test("that many ask for is one", async () => {
      await using bench = await kind.open();
      await using hosted = await hostKv(bench);
      const transports = await Promise.all([hosted.client.start(), hosted.client.start(), hosted.client.start()]);
      expect(new Set([...transports, await hosted.client.start(), hosted.client.transport]).size).toBe(1);
      expect(hosted.runners.length).toBe(1);
    });

    test("can be given up, and then tried again", async () => {
      await using bench = await kind.open();
      const flags = ["-silent"];
      await using hosted = await hostKv(bench, { flags });
      const giveUp = new AbortController();
      const starting = failureOf(hosted.client.start(giveUp.signal));
      await waitForPid(hosted);
      giveUp.abort();
      expect((await starting).code).toBe("aborted");
      flags.length = 0;
      await hosted.client.start();
      expect(hosted.runners.length).toBe(2);
    });

    test("that one caller gives up goes on for the others, and ends when the last has left", async () => {
      await using bench = await kind.open();
      // Long enough for the first caller to leave before it serves.
      await using hosted = await hostKv(bench, { flags: ["-slow", "5000"] });
      const [first, second] = [new AbortController(), new AbortController()];
      const impatient = failureOf(hosted.client.start(first.signal));
      const patient = hosted.client.start(second.signal);
      await waitForPid(hosted);
      first.abort();
      expect((await impatient).code).toBe("aborted");
      await patient;
      await hosted.client.ping();

      await using other = await hostKv(bench, { flags: ["-silent"] });
      const both = [failureOf(other.client.start(first.signal)), failureOf(other.client.start(second.signal))];
      await waitForPid(other);
      second.abort();
      expect((await Promise.all(both)).map(({ code }) => code)).toEqual(["aborted", "aborted"]);
      expect(await other.runner.wait()).toMatchObject({ code: null });
    });

    test("that was killed fails at once, and so does each one after it", async () => {
      await using bench = await kind.open();
      const hosted = await hostKv(bench, { flags: ["-silent"] });
      const starting = failureOf(hosted.client.start());
      await waitForPid(hosted);
      await hosted.client.kill();
      expect((await starting).code).toBe("closed");
      expect((await failureOf(hosted.client.start())).code).toBe("closed");
      expect(hosted.runners.length).toBe(1);
    });

    test("whose signal fires later goes on", async () => {
      await using bench = await kind.open();
      await using hosted = await hostKv(bench);
      const giveUp = new AbortController();
      await hosted.client.start(giveUp.signal);
      giveUp.abort();
      await hosted.client.ping();
    });
  });
}

/** Until the plugin runs: then it is the handshake that is waited for. */
async function waitForPid(hosted: { runners: readonly { id: string }[] }): Promise<void> {
  await eventually(() => hosted.runners[0]?.id !== undefined && hosted.runners[0].id !== "", {
    what: "the plugin to run",
  });
}

function recordFile(bench: Bench): string {
  const path = join(bench.directory, "record");
  if (!existsSync(path)) writeFileSync(path, "");
  chmodSync(path, 0o666);
  return path;
}

/** The plugin's alert may get lost with the connection, which it closes with our first call unread; the reason is told as well. */
function expectRefused(failure: PluginError): void {
  expect(failure.message).toContain("refuses our certificate");
  if (failure.code !== "handshake-failed") return;
  expect(failure.message).toMatch(/TLS handshake with the plugin ended: .*(bad certificate|unknown ca)/);
}
