import { randomBytes } from "node:crypto";
import { format, inspect } from "node:util";
import createDebug from "debug";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { processTable } from "../../src/demo/embedded/process-table.ts";
import { embeddedKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { hasTier } from "../tiers/tiers.ts";
import { type Difference, hostKv, startKvOn } from "./started-client.ts";

/** What the library has logged since the test began, with every namespace on. */
let logged: string[] = [];
const { log } = createDebug;

beforeEach(() => {
  logged = [];
  createDebug.log = (...parts: unknown[]) => void logged.push(format(...parts));
  createDebug.enable("*");
});

afterEach(() => {
  createDebug.disable();
  createDebug.log = log;
});

describe.skipIf(!hasTier("go"))("the private key of a start", () => {
  test("shows in no log, no argv, no environment of the plugin's, and not when things are printed", async () => {
    await using bench = await embeddedKind.open();
    await using hosted = await startKvOn(bench);
    const target = await hosted.client.grpcTarget();
    const key = secretOf(target.tls?.privateKey);
    await hosted.client.ping();
    const { environment } = await hosted.kv.inspect({});
    const commands = processTable().map(({ command }) => command);
    await hosted.client.kill();
    const printed = [hosted.client, hosted.runner, target].map((thing) => inspect(thing, PRINT_ALL));
    expect(environment.PLUGIN_CLIENT_CERT).toContain("BEGIN CERTIFICATE");
    expect(logged.some((line) => line.includes("started pid"))).toBe(true);
    const texts = [...logged, ...printed, ...Object.values(environment), JSON.stringify(target)];
    for (const text of texts) expect(text).not.toContain("PRIVATE KEY");
    // Other programs on this machine may have those words in their command lines, but not this key.
    for (const text of [...texts, ...commands]) expect(text).not.toContain(key);
  });
});

describe.skipIf(!hasTier("go"))("a variable of the plugin's", () => {
  const failing: [name: string, difference: Difference][] = [
    ["exits", { flags: ["-exit", "3"] }],
    ["says something else", { flags: ["-garbage"] }],
    ["says nothing", { flags: ["-silent"], startTimeoutMs: 1000 }],
    ["has no certificate", { flags: ["-empty-cert"] }],
    [
      "speaks another version",
      { handshakeConfig: { protocolVersion: 9, magicCookieKey: "KV_PLUGIN_COOKIE", magicCookieValue: "kv" } },
    ],
    ["is not there", { wrapper: ["/no/such/program"] }],
    ["has no directory", { runner: { directory: "/no/such/directory" } }],
  ];

  test.each(failing)("is in no log and no error when it %s", async (_name, difference) => {
    const secret = randomBytes(12).toString("hex");
    await using bench = await embeddedKind.open();
    const runner = { ...difference.runner, environment: { TOKEN: secret } };
    await using hosted = await hostKv(bench, { ...difference, runner });
    const failure = await failureOf(hosted.client.start());
    const diagnosis = await hosted.runner.diagnose();
    const printed = [failure, hosted.client, hosted.runner].map((thing) => inspect(thing, PRINT_ALL));
    for (const text of [...logged, ...printed, String(failure.stack), failure.message, diagnosis]) {
      expect(text).not.toContain(secret);
    }
  });

  test("is in no error when a call fails with the plugin", async () => {
    const secret = randomBytes(12).toString("hex");
    await using bench = await embeddedKind.open();
    await using hosted = await startKvOn(bench, { runner: { environment: { TOKEN: secret } } });
    const failure = await hosted.kv.crash({ exitCode: 9 }).catch((reason) => reason);
    expect(failure).toMatchObject({ cause: { code: "plugin-exited" } });
    for (const text of [...logged, inspect(failure, PRINT_ALL)]) expect(text).not.toContain(secret);
  });
});

const PRINT_ALL = { depth: 10, showHidden: true };

/** A part of the key that stands in no other text. */
function secretOf(pem: Buffer | undefined): string {
  const [, line = ""] = String(pem).split("\n");
  expect(line.length).toBeGreaterThan(40);
  return line;
}
