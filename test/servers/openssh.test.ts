import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { isAlive } from "../tools/leaks.ts";
import { PlainClient } from "./client.ts";
import { serverContract } from "./contract.ts";
import { serverKinds } from "./kinds.ts";
import { hasOpenSsh, startOpenSsh } from "./openssh.ts";

for (const kind of serverKinds.filter(({ name }) => name === "openssh")) serverContract(kind);

describe.skipIf(!hasOpenSsh())("startOpenSsh", () => {
  test("starts an sshd that leaves no process and no directory", async () => {
    const server = await startOpenSsh({ logLevel: "DEBUG1" });
    const client = await PlainClient.connect(server);
    const sessions = server.sessionPids();
    expect(sessions.length).toBeGreaterThan(0);
    expect(await server.log()).toContain("debug1: ");
    await server.stop();
    await client.gone;
    expect([server.pid, ...sessions].filter(isAlive)).toEqual([]);
    expect(existsSync(dirname(server.identityFile))).toBe(false);
  });

  test("ends sessions that a test has stopped", async () => {
    const server = await startOpenSsh();
    const client = await PlainClient.connect(server);
    server.killSessions("SIGSTOP");
    await server.stop();
    await client.gone;
  });

  test("shows what sshd says about a bad configuration, and leaves nothing", async () => {
    // A place of its own: other servers come and go in the common one.
    const place = mkdtempSync(join(tmpdir(), "gpt-"));
    vi.stubEnv("TMPDIR", place);
    await expect(startOpenSsh({ options: ["NoSuchKeyword yes"] })).rejects.toThrow("NoSuchKeyword");
    vi.unstubAllEnvs();
    expect(readdirSync(place)).toEqual([]);
    rmSync(place, { recursive: true });
  });

  const login = process.env.GO_PLUGIN_SSH_TEST_LOGIN;
  test.skipIf(!login)("lets root's sshd log in an ordinary account", async () => {
    await using server = await startOpenSsh({ user: login ?? "" });
    await using client = await PlainClient.connect(server);
    expect(await client.run("id -un")).toMatchObject({ stdout: `${login}\n`, code: 0 });
  });
});
