import { readFile } from "node:fs/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { hasTier } from "../tiers/tiers.ts";
import { destinationOf, optionsFor } from "./login.ts";
import { Scratch } from "./scratch.ts";
import { leavesNoTrace } from "./traces.ts";

afterEach(() => vi.unstubAllEnvs());

/** A home from which every one of `servers` can be logged in to. */
async function homeFor(...servers: TestServer[]): Promise<Scratch> {
  const home = await Scratch.make();
  await home.mkdir(".ssh");
  const known = await Promise.all(servers.map(({ knownHostsFile }) => readFile(knownHostsFile, "utf8")));
  await home.put(".ssh/known_hosts", known.join(""));
  const names = ["id_ed25519", "id_ecdsa", "id_rsa"];
  await Promise.all(servers.map(({ privateKey }, index) => home.put(`.ssh/${names[index]}`, privateKey)));
  vi.stubEnv("HOME", home.directory);
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  return home;
}

function hopOf({ user, host, port }: TestServer): string {
  return `${user}@${host}:${port}`;
}

async function output(connection: Connection, command: string): Promise<string> {
  const { stdin, stdout, stderr, exited } = await connection.exec(command);
  stdin.end();
  stderr.resume();
  const text = (await stdout.toArray()).join("");
  expect(await exited).toEqual({ code: 0, signal: null });
  return text;
}

describe("two jump hosts", () => {
  test("are gone through", async () => {
    await using first = await startOpenSsh();
    await using second = await startOpenSsh();
    await using box = await startOpenSsh();
    await using _home = await homeFor(first, second);
    await leavesNoTrace(async () => {
      const proxyJump = `${hopOf(first)},${hopOf(second)}`;
      const connection = await connect(
        destinationOf(box),
        optionsFor(box, { identityFile: box.identityFile, proxyJump }),
      );
      expect(await output(connection, "echo hello")).toBe("hello\n");
      await connection.close();
    });
  });
});
