import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test, vi } from "vitest";
import type { ConnectOptions, HostKeyPrompt } from "../../src/connect/connect-options.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { rejectionOf } from "./failure-of.ts";
import { withFakeTimeouts } from "./fake-timeouts.ts";
import { login, loginWithKey } from "./login.ts";
import { Scratch } from "./scratch.ts";
import { leavesNoTrace } from "./traces.ts";

const run = promisify(execFile);

/** A new host's key is to be written to a file in a directory that is not there yet. */
function newFile(scratch: Scratch): string {
  return scratch.path(".ssh/known_hosts");
}

test.skipIf(!hasTier("openssh"))(
  "a new host key is asked about, recorded in private, and known from then on",
  async () => {
    await using server = await startOpenSsh();
    await using scratch = await Scratch.make();
    const userKnownHostsFile = newFile(scratch);
    const confirmHostKey = vi.fn(async (_: HostKeyPrompt) => true);
    for (let round = 0; round < 2; round += 1) {
      await using connection = await loginWithKey(server, {
        userKnownHostsFile,
        confirmHostKey,
        hashKnownHosts: false,
      });
      expect(connection.lost.aborted).toBe(false);
    }
    expect(confirmHostKey.mock.calls).toEqual([
      [
        {
          host: server.host,
          port: server.port,
          type: "ssh-ed25519",
          fingerprint: server.hostKeyFingerprint,
          file: userKnownHostsFile,
          signal: expect.any(AbortSignal),
        },
      ],
    ]);
    expect((await readFile(userKnownHostsFile, "utf8")).trim()).toBe(
      (await readFile(server.knownHostsFile, "utf8")).trim(),
    );
    expect(statSync(userKnownHostsFile).mode & 0o777).toBe(0o600);
    expect(statSync(scratch.path(".ssh")).mode & 0o777).toBe(0o700);
  },
);

test.skipIf(!hasTier("openssh"))(
  "with `hashKnownHosts` the name cannot be read, and OpenSSH's tools find it",
  async () => {
    await using server = await startOpenSsh();
    await using scratch = await Scratch.make();
    const more: ConnectOptions = { userKnownHostsFile: newFile(scratch), hashKnownHosts: true };
    await (await loginWithKey(server, { ...more, strictHostKeyChecking: "accept-new" })).close();
    const text = await readFile(newFile(scratch), "utf8");
    expect(text).toMatch(/^\|1\|[\w+/]{27}=\|[\w+/]{27}= ssh-ed25519 \S+\n$/);
    expect(text).not.toContain(server.host);
    const { stdout } = await run("ssh-keygen", ["-F", `[${server.host}]:${server.port}`, "-f", newFile(scratch)]);
    expect(stdout).toContain("found: line 1");
    await using connection = await loginWithKey(server, { ...more, strictHostKeyChecking: "yes" });
    expect(connection.lost.aborted).toBe(false);
  },
);

test.each<[what: string, options: ConnectOptions, message: RegExp, cause: unknown]>([
  ["a no", { confirmHostKey: () => false }, /was not confirmed: ssh-ed25519 SHA256:/, undefined],
  [
    "a throw",
    {
      confirmHostKey: () => {
        throw new RangeError("cancelled");
      },
    },
    /was not confirmed/,
    expect.any(RangeError),
  ],
  ["nobody to ask", { strictHostKeyChecking: "ask" }, /shows a host key that no file vouches for/, undefined],
  [
    "a yes that nobody asked for",
    { confirmHostKey: () => true, strictHostKeyChecking: "yes" },
    /shows a host key that no file vouches for/,
    undefined,
  ],
])("%s refuses a new host key, and nothing is sent or recorded", async (_what, options, message, cause) => {
  await using server = await startEmbedded();
  await using scratch = await Scratch.make();
  const userKnownHostsFile = newFile(scratch);
  const failure = await leavesNoTrace(() => rejectionOf(loginWithKey(server, { userKnownHostsFile, ...options })));
  expect(failure.code).toBe("host-key-unknown");
  expect(failure.message).toMatch(message);
  expect(failure.cause).toEqual(cause);
  expect(existsSync(userKnownHostsFile)).toBe(false);
  expect(await server.log()).not.toMatch(/refused|accepted/);
});

test("an answer that is neither yes nor no is refused", async () => {
  await using server = await startEmbedded();
  await using scratch = await Scratch.make();
  const confirmHostKey = (() => "yes") as unknown as () => boolean;
  const failure = await rejectionOf(loginWithKey(server, { userKnownHostsFile: newFile(scratch), confirmHostKey }));
  expect(failure).toMatchObject({ code: "bad-options" });
});

test("nobody is asked about a key that has changed or is revoked", async () => {
  await using server = await startEmbedded();
  await using other = await startEmbedded();
  await using scratch = await Scratch.make();
  const line = await readFile(server.knownHostsFile, "utf8");
  const changed = (await readFile(other.knownHostsFile, "utf8")).replace(/:\d+/, `:${server.port}`);
  const confirmHostKey = vi.fn(() => true);
  for (const [code, text] of [
    ["host-key-changed", changed],
    ["host-key-revoked", `@revoked ${line}`],
  ]) {
    const userKnownHostsFile = await scratch.put("known_hosts", text ?? "");
    const failure = await rejectionOf(loginWithKey(server, { userKnownHostsFile, confirmHostKey }));
    expect(failure).toMatchObject({ code });
  }
  expect(confirmHostKey).not.toHaveBeenCalled();
});

test("whoever is asked may take longer than `connectTimeoutMs`", async () => {
  await using server = await startEmbedded();
  await using scratch = await Scratch.make();
  await withFakeTimeouts(async (pass) => {
    const confirmHostKey = () => {
      pass(600_000);
      return true;
    };
    const more = { userKnownHostsFile: newFile(scratch), confirmHostKey, connectTimeoutMs: 20_000 };
    await using connection = await loginWithKey(server, more);
    expect(connection.lost.aborted).toBe(false);
  });
});

test("a caller who gives up while a person thinks is heard, and so is the callback; the next one is asked again", async () => {
  await using server = await startEmbedded();
  await using scratch = await Scratch.make();
  const more = { userKnownHostsFile: newFile(scratch), identityFile: server.identityFile };
  const giveUp = new AbortController();
  const asked: AbortSignal[] = [];
  const confirmHostKey = ({ signal }: HostKeyPrompt) => {
    asked.push(signal);
    giveUp.abort();
    return new Promise<boolean>(() => {});
  };
  const failure = await leavesNoTrace(() => rejectionOf(login(server, { ...more, confirmHostKey }, giveUp.signal)));
  expect(failure.code).toBe("aborted");
  expect(asked.map(({ aborted }) => aborted)).toEqual([true]);
  expect(existsSync(more.userKnownHostsFile)).toBe(false);
  await using connection = await login(server, { ...more, confirmHostKey: () => true });
  expect(connection.lost.aborted).toBe(false);
});

test("connections that start at once ask once about a host that they share", async () => {
  await using server = await startEmbedded();
  await using scratch = await Scratch.make();
  const confirmHostKey = vi.fn(async () => true);
  const more = { userKnownHostsFile: newFile(scratch), confirmHostKey };
  const connections = await Promise.all([1, 2, 3].map(() => loginWithKey(server, more)));
  for (const connection of connections) await connection.close();
  expect(confirmHostKey).toHaveBeenCalledTimes(1);
  expect(readFileSync(more.userKnownHostsFile, "utf8").trim().split("\n")).toHaveLength(1);
});

test.skipIf(!has("ssh-keygen"))(
  "many processes write to one file, and every line stays whole",
  { timeout: 60_000 },
  async () => {
    await using scratch = await Scratch.make();
    const file = newFile(scratch);
    const module = join(built(), "connect", "record-host-key.js");
    const script = `
    const { recordHostKey } = await import(${JSON.stringify(module)});
    const [file, name, key] = process.argv.slice(1);
    for (let index = 0; index < 50; index += 1) await recordHostKey(file, name + "-" + index + " ssh-ed25519 " + key);
  `;
    const key = "A".repeat(68);
    const names = ["one", "two", "three", "four"];
    await Promise.all(
      names.map((name) => run(process.execPath, ["--input-type=module", "-e", script, file, name, key])),
    );
    const wanted = names.flatMap((name) =>
      Array.from({ length: 50 }, (_, index) => `${name}-${index} ssh-ed25519 ${key}`),
    );
    expect(readFileSync(file, "utf8").trimEnd().split("\n").sort()).toEqual(wanted.sort());
  },
);
