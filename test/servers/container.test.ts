import { describe, expect, test } from "vitest";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive } from "../tools/leaks.ts";
import { PlainClient } from "./client.ts";
import { startContainer } from "./container.ts";
import { docker } from "./docker.ts";

describe.skipIf(!hasTier("container"))("container: startContainer", () => {
  test("starts a server that leaves no process and no container", async () => {
    const server = await startContainer();
    const client = await PlainClient.connect(server);
    expect(await client.run("id -un; echo $$")).toMatchObject({ stdout: expect.stringMatching(/^dev\n\d+\n$/) });
    const sessions = server.sessionPids();
    expect(sessions.length).toBeGreaterThan(0);
    const log = async () => (await server.log()).includes("Accepted publickey for dev");
    await eventually(log, { what: "the engine to have its words", state: () => server.log() });
    await server.stop();
    await client.gone;
    expect([server.pid, ...sessions].filter(isAlive)).toEqual([]);
    await expect(docker("inspect", server.id)).rejects.toThrow("No such");
  });

  test.each([
    ["a process", "setsid sleep 300 >/dev/null 2>&1 & echo done", "sleep 300"],
    ["a file", "echo >/tmp/left", "A /tmp/left"],
    ["a directory", "mkdir /var/tmp/gp-0123456789", "A /var/tmp/gp-0123456789"],
  ])("sees %s that is left in it, and removes it nevertheless", async (_what, command, told) => {
    const server = await startContainer({ suite: "trixie" });
    const client = await PlainClient.connect(server);
    await client.run(command);
    await expect(server.stop({ patienceMs: 500 })).rejects.toThrow(told);
    await client.gone;
    await expect(docker("inspect", server.id)).rejects.toThrow("No such");
  });

  test("gives its processes the numbers that they have here, if asked to", async () => {
    await using server = await startContainer({ samePids: true });
    await using client = await PlainClient.connect(server);
    const { stdout } = await client.run("echo $PPID");
    expect(server.sessionPids()).toContain(Number(stdout));
  });

  test("shows what a container says that does not start", async () => {
    await expect(startContainer({ configuration: "no-such" })).rejects.toThrow("configurations/no-such.conf");
    const all = () =>
      docker("ps", "--all", "--format", "{{.Status}}", "--filter", "ancestor=go-plugin-ssh-sshd:bookworm");
    await eventually(async () => !(await all()).includes("Exited"), { what: "it to be removed", state: all });
  });
});
