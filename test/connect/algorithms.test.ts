import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { TRANSPORT } from "../../src/connect/algorithms.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier } from "../tiers/tiers.ts";
import { rejectionOf } from "./failure-of.ts";
import { login, loginWithKey } from "./login.ts";
import { output } from "./way/hops.ts";

/** ssh2's own lists, which it does not make public. */
const ssh2 = createRequire(import.meta.url)("ssh2/lib/protocol/constants.js") as Record<string, string[]>;

describe("our lists are ssh2's", () => {
  test.each([
    ["kexAlgorithms", "KEX"],
    ["ciphers", "CIPHER"],
    ["macs", "MAC"],
  ] as const)("%s", (option, name) => {
    const { defaults, supported } = TRANSPORT[option];
    // The place of chacha20 depends on the processor.
    expect([...defaults].sort()).toEqual([...(ssh2[`DEFAULT_${name}`] as string[])].sort());
    for (const algorithm of supported) expect(ssh2[`SUPPORTED_${name}`]).toContain(algorithm);
  });
});

describe.skipIf(!hasTier("accounts"))("what is agreed with a real server", () => {
  test.each<[ConnectOptions, RegExp]>([
    [{ ciphers: "aes256-ctr" }, /client->server cipher: aes256-ctr/],
    [{ ciphers: "^aes192-ctr" }, /client->server cipher: aes192-ctr/],
    [{ ciphers: "-*gcm*,chacha*" }, /client->server cipher: aes128-ctr/],
    [{ macs: "hmac-sha2-512", ciphers: "aes128-ctr" }, /client->server cipher: aes128-ctr MAC: hmac-sha2-512 /],
    [{ kexAlgorithms: "ecdh-sha2-nistp384" }, /kex: algorithm: ecdh-sha2-nistp384/],
    [{ compression: true }, /server->client cipher: \S+ MAC: \S+ compression: zlib@openssh.com/],
    [{ compression: false }, /server->client cipher: \S+ MAC: \S+ compression: none/],
  ])("%j", async (options, said) => {
    await using server = await startOpenSsh({ logLevel: "DEBUG1", account: { home: "/" } });
    const connection = await loginWithKey(server, options);
    expect(await output(connection, "echo hello")).toBe("hello\n");
    const { stdin, stdout, stderr } = await connection.exec("cat");
    stderr.resume();
    const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * 31) % 251));
    stdin.end(sent);
    expect(Buffer.concat(await stdout.toArray()).equals(sent)).toBe(true);
    expect(await server.log()).toMatch(said);
    await connection.close();
  });
});

test("what ssh2 does not have is left out, and said", async () => {
  await using server = await startEmbedded();
  const notices: string[] = [];
  const options: ConnectOptions = {
    macs: "umac-64@openssh.com,hmac-sha2-256",
    ciphers: "aes128-ctr",
    onNotice: (text) => void notices.push(text),
  };
  await using connection = await loginWithKey(server, options);
  expect(await output(connection, "echo hello")).toBe("hello\n");
  expect(notices).toEqual(["ssh2 does not have umac-64@openssh.com, which `macs` names."]);
});

test("a list that leaves nothing is refused before anything is opened", async () => {
  await using server = await startEmbedded();
  const failure = await rejectionOf(login(server, { ciphers: "rot13" }));
  expect(failure.code).toBe("config-error");
  expect(failure.message).toContain("`ciphers`");
  expect(failure.hint).toContain("aes128-ctr");
  expect(server.embedded.accepted).toBe(0);
});
