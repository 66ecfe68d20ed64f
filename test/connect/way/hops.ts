import { readFile } from "node:fs/promises";
import { expect, vi } from "vitest";
import type { Connection } from "../../../src/contract/connection.ts";
import type { TestServer } from "../../servers/server.ts";
import { Scratch } from "../scratch.ts";

/** The names that OpenSSH looks for when nobody names a key. */
const KEY_NAMES = ["id_ed25519", "id_ecdsa", "id_rsa"];

/**
 * Makes a home from which each of `servers`, three at most, can be logged in to, for as long as the test's environment
 * is stubbed. Jump hosts see nothing of the options that are given for the box.
 */
export async function homeFor(...servers: readonly TestServer[]): Promise<Scratch> {
  const home = await Scratch.make();
  await home.mkdir(".ssh");
  const known = await Promise.all(servers.map(({ knownHostsFile }) => readFile(knownHostsFile, "utf8")));
  await home.put(".ssh/known_hosts", known.join(""));
  await Promise.all(servers.map(({ privateKey }, index) => home.put(`.ssh/${KEY_NAMES[index]}`, privateKey)));
  vi.stubEnv("HOME", home.directory);
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  return home;
}

/** A server as it stands in `proxyJump`. */
export function hopOf({ user, host, port }: Pick<TestServer, "user" | "host" | "port">): string {
  return `${user}@${host}:${port}`;
}

/** What a command writes on the box; proves that a connection works. */
export async function output(connection: Connection, command: string): Promise<string> {
  const { stdin, stdout, stderr, exited } = await connection.exec(command);
  stdin.end();
  stderr.resume();
  const text = (await stdout.toArray()).join("");
  expect(await exited).toEqual({ code: 0, signal: null });
  return text;
}

/** What a configuration says about a server: no other key and no other file of host keys will do for it. */
export function entry(
  alias: string,
  { host, port, user, identityFile, knownHostsFile }: TestServer,
  ...more: string[]
): string {
  const settings = [
    `HostName ${host}`,
    `Port ${port}`,
    `User ${user}`,
    `IdentityFile ${identityFile}`,
    "IdentitiesOnly yes",
    "IdentityAgent none",
    `UserKnownHostsFile ${knownHostsFile}`,
    "GlobalKnownHostsFile none",
    ...more,
  ];
  return [`Host ${alias}`, ...settings.map((setting) => `  ${setting}`)].join("\n");
}
