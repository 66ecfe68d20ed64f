import { inspect } from "node:util";
import { expect } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Connection } from "../../src/contract/connection.ts";
import type { TestServer } from "../servers/server.ts";

/** Options that trust a test server's host key and offer nothing but what `more` says. Nobody's own configuration counts. */
export function optionsFor(server: Pick<TestServer, "knownHostsFile">, more: ConnectOptions = {}): ConnectOptions {
  return {
    configFile: "none",
    identityAgent: "none",
    identityFile: [],
    userKnownHostsFile: server.knownHostsFile,
    globalKnownHostsFile: [],
    ...more,
  };
}

/** Connects to a test server, with {@link optionsFor}. */
export function login(server: TestServer, more: ConnectOptions = {}, signal?: AbortSignal): Promise<Connection> {
  return connect(destinationOf(server), optionsFor(server, more), signal);
}

/** Connects to a test server with the key that it lets in. */
export function loginWithKey(server: TestServer, more: ConnectOptions = {}): Promise<Connection> {
  return login(server, { identityFile: server.identityFile, ...more });
}

/** Where a test server is. */
export function destinationOf({ host, port, user }: TestServer): { host: string; port: number; user: string } {
  return { host, port, user };
}

/** Fails if any way to print `value` shows one of `secrets`. */
export function expectNoSecret(value: unknown, secrets: readonly string[]): void {
  const shown = [
    inspect(value, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null }),
    value instanceof Error ? `${value.message}\n${value.stack}` : "",
    JSON.stringify(value),
  ].join("\n");
  for (const secret of secrets) expect(shown).not.toContain(secret);
}

/** The parts of a private key's text that nobody may see. */
export function secretsOf(privateKey: string): string[] {
  return privateKey.split("\n").filter((line) => line.length > 40 && !line.startsWith("---"));
}
