import { once } from "node:events";
import { connect } from "node:net";
import ssh2 from "ssh2";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../../src/connect/pool.ts";
import { startContainer } from "../servers/container.ts";
import type { TestServer } from "../servers/server.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { rejectionOf } from "./failure-of.ts";
import { destinationOf, login, optionsFor } from "./login.ts";
import { Scratch } from "./scratch.ts";

/** One failed login is enough for a while of silence. */
const STRICT = ["-o", "PerSourcePenalties=authfail:15s min:1s"];
const WAITERS = 4;

describe.skipIf(!hasTier("container"))("container: an OpenSSH that penalises failed logins", () => {
  test("is left alone by all who wait, who are told why, and lets them in later", { timeout: 120_000 }, async () => {
    await using server = await startContainer({ suite: "trixie", sshdArguments: STRICT });
    await using scratch = await Scratch.make();
    const wrongKey = await scratch.put("key", ssh2.utils.generateKeyPairSync("ed25519").private);
    expect((await rejectionOf(login(server, { identityFile: wrongKey }))).code).toBe("auth-failed");
    // sshd learns of it when the process has ended that has served the login.
    await eventually(async () => (await greeting(server)).includes("Not allowed"), { what: "the penalty" });

    const lease = (pool: ConnectionPool) => pool.lease(destinationOf(server));
    await using pool = new ConnectionPool(optionsFor(server, { identityFile: server.identityFile }));
    const failures = await Promise.all(Array.from({ length: WAITERS }, () => rejectionOf(lease(pool))));
    for (const failure of failures) {
      expect(failure.code).toBe("box-refused");
      expect(failure.message).toContain("Not allowed at this time");
      expect(failure.hint).toContain("PerSourcePenalties");
    }
    // They share one handshake, and nobody tried again: that would only have made it worse.
    expect(pool.stats().boxes[0]?.totals).toMatchObject({ opened: 0, dropped: 1, retried: 0 });

    const { connection } = await eventually(() => lease(pool), { what: "the end of the penalty", timeoutMs: 60_000 });
    expect(await (await connection.exec("exit 3")).exited).toEqual({ code: 3, signal: null });
  });
});

/** What the server says first. */
async function greeting({ host, port }: TestServer): Promise<string> {
  const socket = connect({ host, port });
  try {
    return String(await once(socket, "data"));
  } finally {
    socket.destroy();
  }
}
