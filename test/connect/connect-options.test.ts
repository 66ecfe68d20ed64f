import { inspect } from "node:util";
import { expect, test } from "vitest";
import { type ConnectOptions, checkConnectOptions } from "../../src/connect/connect-options.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import { failureOf } from "./failure-of.ts";

test.each<ConnectOptions>([
  {},
  { identityFile: "~/.ssh/id", identityAgent: "none", hostKeyAlias: "box" },
  { identityFile: [], userKnownHostsFile: [], globalKnownHostsFile: [] },
  { identityFile: ["a", "b"], identityAgent: "" },
  { passphrase: () => "x", password: async () => undefined, keyboardInteractive: () => [] },
  { connectTimeoutMs: 0, serverAliveIntervalMs: 0, serverAliveCountMax: 0 },
  { connectTimeoutMs: 2 ** 31 - 1, serverAliveIntervalMs: 0.5 },
  { strictHostKeyChecking: "yes" },
  { strictHostKeyChecking: "accept-new" },
])("accepted: %j", (options) => {
  checkConnectOptions(options);
  new ConnectionPool(options);
});

const REFUSED: [options: object, says: RegExp][] = [
  [{ connectTimeoutMs: -1 }, /`connectTimeoutMs` must be a number from 0 to 2147483647, not -1/],
  // A timer would fire at once.
  [{ connectTimeoutMs: 2 ** 31 }, /not 2147483648/],
  [{ connectTimeoutMs: Number.NaN }, /not NaN/],
  [{ connectTimeoutMs: Number.POSITIVE_INFINITY }, /not Infinity/],
  [{ connectTimeoutMs: "5s" }, /not "5s"/],
  [{ connectTimeoutMs: null }, /not null/],
  [{ serverAliveIntervalMs: "10" }, /`serverAliveIntervalMs`/],
  [{ serverAliveCountMax: -3 }, /`serverAliveCountMax`/],
  [{ password: "secret-xyzzy" }, /`password` must be a function .* not a string/],
  [{ passphrase: "secret-xyzzy" }, /`passphrase` must be a function/],
  [{ keyboardInteractive: ["secret-xyzzy"] }, /`keyboardInteractive` must be a function/],
  [{ identityFile: Buffer.from("secret-xyzzy") }, /`identityFile` must be a path or a list of paths/],
  [{ identityFile: ["a", 7] }, /`identityFile`/],
  [{ identityFile: "" }, /`identityFile`/],
  [{ identityFile: "a\0b" }, /`identityFile`/],
  [{ userKnownHostsFile: { file: "x" } }, /`userKnownHostsFile`/],
  [{ globalKnownHostsFile: 7 }, /`globalKnownHostsFile`/],
  [{ identityAgent: 7 }, /`identityAgent` must be a string/],
  [{ hostKeyAlias: ["box"] }, /`hostKeyAlias` must be a string/],
  [{ strictHostKeyChecking: "no" }, /`strictHostKeyChecking` must be "yes", "ask" or "accept-new", not "no"/],
  [{ strictHostKeyChecking: false }, /not false/],
  [{ configFile: "" }, /`configFile` must be a path, or "none"/],
  [{ configFile: "a\0b" }, /`configFile`/],
  [{ sshOptions: "Port=22" }, /`sshOptions` must be a list of strings/],
  [{ sshOptions: ["Port=22\nUser=ann"] }, /`sshOptions`/],
  [{ readyTimeout: 5 }, /There is no option "readyTimeout"/],
  [{ privateKey: "secret-xyzzy" }, /There is no option "privateKey"/],
];

test.each(REFUSED)("refused, by the pool too, and no secret is repeated: %j", (options, says) => {
  for (const check of [() => checkConnectOptions(options), () => new ConnectionPool(options)]) {
    const failure = failureOf(check);
    expect(failure.code).toBe("bad-options");
    expect(failure.message).toMatch(says);
    expect(inspect(failure, { showHidden: true })).not.toContain("secret-xyzzy");
  }
});

test.each([-1, Number.NaN, "1", 2 ** 31])("refused: idleTimeoutMs %j", (idleTimeoutMs) => {
  const failure = failureOf(() => new ConnectionPool({ idleTimeoutMs: idleTimeoutMs as number }));
  expect(failure).toMatchObject({ code: "bad-options", message: expect.stringContaining("`idleTimeoutMs`") });
});
