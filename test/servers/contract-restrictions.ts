import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { eventually } from "../tools/eventually.ts";
import { firstLine, PlainClient } from "./client.ts";
import type { Restrictions, ServerKind } from "./server.ts";
import { freePort } from "./spawn-server.ts";

const YES = "yes";
const FORBIDDEN = "1 (SSH) Channel open failure: open failed";
const FAILED = "2 (SSH) Channel open failure: open failed";
const REFUSED = "2 (SSH) Channel open failure: Connection refused";
const NO_BIND = "Unable to bind";

/** What is answered to each attempt, as the client sees it. */
const ALL = {
  "to a port": YES,
  "to a closed port": REFUSED,
  "to a socket": YES,
  "to a missing socket": FAILED,
  "listen on a port": YES,
  "listen on a socket": YES,
};
const NOT_INTO = {
  "to a port": FORBIDDEN,
  "to a closed port": FORBIDDEN,
  "to a socket": FAILED,
};
const NOT_OUT = { "listen on a port": NO_BIND, "listen on a socket": NO_BIND };

/** Restrictions, and what differs with them. */
const ROWS: [Restrictions, Partial<typeof ALL>][] = [
  [{}, {}],
  [{ allowTcpForwarding: false }, { ...NOT_INTO, ...NOT_OUT }],
  [{ allowTcpForwarding: "local" }, NOT_OUT],
  [{ allowTcpForwarding: "remote" }, NOT_INTO],
  [{ allowStreamLocalForwarding: false }, { "to a socket": FAILED, "listen on a socket": NO_BIND }],
  [{ allowStreamLocalForwarding: "local" }, { "listen on a socket": NO_BIND }],
  [{ allowStreamLocalForwarding: "remote" }, { "to a socket": FAILED }],
  [
    { allowTcpForwarding: false, allowStreamLocalForwarding: false },
    { ...NOT_INTO, ...NOT_OUT },
  ],
];

/** How a server forbids. */
export function restrictionContract(kind: ServerKind): void {
  describe("restrictions", () => {
    test.each(ROWS)("%j", async (restrictions, difference) => {
      await using server = await kind.start(restrictions);
      await using targets = await Targets.make();
      await using client = await PlainClient.connect(server);
      expect(await attempts(client, targets)).toEqual({ ...ALL, ...difference });
    });

    test("maxSessions counts commands, also those that outlive their channel, and no forwards", async () => {
      await using server = await kind.start({ maxSessions: 2 });
      await using targets = await Targets.make();
      await using client = await PlainClient.connect(server);
      const deaf = await client.start("exec sleep 300 & echo $!; wait");
      const pid = Number(await firstLine(deaf));
      const reader = await client.start("cat");
      expect(await outcome(client.start("true"))).toBe(FAILED);
      expect(await outcome(client.toSocket(targets.path("live.sock")))).toBe(YES);

      deaf.close();
      reader.close();
      const one = await eventually(() => client.start("cat"), { what: "the slot of the command that has ended" });
      expect(await outcome(client.start("true"))).toBe(FAILED);
      one.close();
      process.kill(pid, "SIGKILL");
      await eventually(() => client.run("true"), { what: "the slot of the command that was killed" });
    });

    test("maxSessions 0 forbids commands only", async () => {
      await using server = await kind.start({ maxSessions: 0 });
      await using targets = await Targets.make();
      await using client = await PlainClient.connect(server);
      expect(await outcome(client.start("true"))).toBe(FAILED);
      expect(await attempts(client, targets)).toEqual(ALL);
    });

    test("forceCommand runs instead of what was asked for", async () => {
      await using server = await kind.start({ forceCommand: 'echo "forced, not $SSH_ORIGINAL_COMMAND"' });
      await using client = await PlainClient.connect(server);
      expect(await client.run("echo wanted")).toMatchObject({ stdout: "forced, not echo wanted\n", code: 0 });
    });
  });
}

/** Tries everything once, and undoes it. */
async function attempts(client: PlainClient, targets: Targets): Promise<Record<keyof typeof ALL, string>> {
  const fresh = targets.path("forward.sock");
  const answers = {
    "to a port": await outcome(client.toPort(targets.port)),
    "to a closed port": await outcome(client.toPort(targets.closedPort)),
    "to a socket": await outcome(client.toSocket(targets.path("live.sock"))),
    "to a missing socket": await outcome(client.toSocket(targets.path("missing.sock"))),
    "listen on a port": await outcome(client.listenPort(targets.closedPort)),
    "listen on a socket": await outcome(client.listenSocket(fresh)),
  };
  if (answers["listen on a port"] === YES) await client.unlistenPort(targets.closedPort);
  if (answers["listen on a socket"] === YES) await client.unlistenSocket(fresh);
  return answers;
}

/** What a client sees of an answer. A stream that comes is ended. */
async function outcome(answer: Promise<unknown>): Promise<string> {
  try {
    const result = await answer;
    if (typeof result === "object" && result && "end" in result) (result as { end(): void }).end();
    return YES;
  } catch (failure) {
    const { message, reason } = failure as Error & { reason?: number };
    return message.startsWith(NO_BIND) ? NO_BIND : `${reason} ${message}`;
  }
}

/** A port and a socket on which somebody listens, and a port and a path where nobody does. */
class Targets implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "gps-test-"));
  readonly #servers: Server[] = [];
  port = 0;
  closedPort = 0;

  static async make(): Promise<Targets> {
    const targets = new Targets();
    targets.port = await targets.#listen({ port: 0, host: "127.0.0.1" });
    await targets.#listen({ path: targets.path("live.sock") });
    targets.closedPort = await freePort();
    return targets;
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map(closed));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #listen(at: { port: number; host: string } | { path: string }): Promise<number> {
    const server = createServer((socket) => socket.on("error", () => {}).resume());
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(at, resolve));
    return (server.address() as AddressInfo).port;
  }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
