import { chmodSync, copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import { embeddedKind, opensshKind } from "../contract/runner-kinds.ts";
import { Said } from "../contract/said.ts";
import { CROWDSEC, hasTier } from "../tiers/tiers.ts";
import { Notifier } from "./gen/notifier_pb.ts";

/** What crowdsec itself says to its plugins; they take any value. */
const HANDSHAKE = { protocolVersion: 1, magicCookieKey: "CROWDSEC_PLUGIN_KEY", magicCookieValue: "a value of ours" };

const TEXT = "203.0.113.7 was banned: naïve 日本";

/** Debian builds it with go-plugin 1.0.1, which knows AutoMTLS, but keeps what a plugin prints to itself. */
describe.each([
  [embeddedKind.name, embeddedKind, hasTier("crowdsec")],
  [opensshKind().name, opensshKind(), hasTier("crowdsec") && hasTier("openssh")],
] as const)("%s: crowdsec's notification plugin, as Debian ships it", (_name, kind, available) => {
  test.skipIf(!available)("is configured and notifies: into a file on the box and into its log", async () => {
    await using bench = await kind.open();
    const program = join(bench.directory, "dummy");
    copyFileSync(CROWDSEC?.plugin ?? "", program);
    chmodSync(program, 0o755);
    const log = new PassThrough();
    const logged = new Said(log);
    await using client = new Client({
      handshakeConfig: HANDSHAKE,
      plugins: { dummy: Notifier },
      shutdownTimeoutMs: 30_000,
      runnerFunc: ({ environment }) => bench.runner({ command: [program], environment }),
      stderr: log,
    });
    await client.start();
    expect(client.negotiatedVersion).toBe(1);
    await client.ping();

    const notifier = await client.dispense("dummy");
    const file = join(bench.directory, "notified");
    const config = `name: to_a_file\ntype: dummy\nlog_level: debug\noutput_file: ${file}\n`;
    await notifier.configure({ config: Buffer.from(config) });
    await notifier.notify({ name: "to_a_file", text: TEXT });
    expect(readFileSync(file, "utf8")).toBe(`${TEXT}\n`);
    const [line] = await logged.until(/\{.*received signal for to_a_file config.*\}/);
    expect(JSON.parse(line)).toMatchObject({ "@level": "info", "@module": "dummy-plugin" });

    await expect(notifier.notify({ name: "nobody", text: "" })).rejects.toMatchObject({
      message: expect.stringContaining("invalid plugin config name nobody"),
    });
    await client.kill();
    expect(await client.wait()).toEqual({ code: 0, signal: null });
  });
});
