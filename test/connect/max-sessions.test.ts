import { describe, expect, test } from "vitest";
import type { Connection } from "../../src/contract/connection.ts";
import { failureOf } from "../contract/said.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier } from "../tiers/tiers.ts";
import { loginWithKey } from "./login.ts";

describe.skipIf(!hasTier("openssh"))("openssh: with MaxSessions 1", () => {
  test("a command that has ended makes room for the next one, every time", async () => {
    await using server = await startOpenSsh({ options: ["MaxSessions 1"] });
    await using connection = await loginWithKey(server);
    for (let turn = 0; turn < 20; turn += 1)
      expect(await run(connection, `exit ${turn}`)).toMatchObject({ code: turn });
  });

  test("a command that runs leaves no room, also if another one has just ended", async () => {
    await using server = await startOpenSsh({ options: ["MaxSessions 1"] });
    await using connection = await loginWithKey(server);
    await run(connection, "true");
    const { stdin, stdout, stderr, exited } = await connection.exec("cat");
    stdout.resume();
    stderr.resume();
    expect((await failureOf(connection.exec("true"))).hint).toContain("MaxSessions");
    const giveUp = new AbortController();
    const impatient = failureOf(connection.exec("true", giveUp.signal));
    giveUp.abort();
    expect((await impatient).code).toBe("aborted");
    stdin.end();
    await exited;
  });
});

async function run(connection: Connection, command: string) {
  const { stdout, stderr, exited, closed } = await connection.exec(command);
  stdout.resume();
  stderr.resume();
  await closed;
  return exited;
}
