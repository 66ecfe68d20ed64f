import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { PluginOptions } from "../../src/runner/plugin-options.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { connectTo } from "../contract/runner-kinds.ts";
import { failureOf, Said } from "../contract/said.ts";
import { type ContainerOptions, startContainer } from "../servers/container.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { type Answers, askOf, runnerOn } from "./boxes.ts";

const CONFIGURATIONS = fileURLToPath(new URL("../../docker/sshd/configurations", import.meta.url));

const WORKS: Answers = {
  start: "works",
  socket: "works",
  port: "works",
  "socket back": "works",
  "port back": "works",
  kill: "works",
};

/** What is refused is told with a code, and with the name of what has refused it. */
const says = (code: string, ...words: string[]) =>
  expect.stringMatching(new RegExp(`^\\[${code}\\] ${words.map((word) => `(?=.*${word})`).join("")}`, "s"));
const forbidden = (...words: string[]) => says("forward-forbidden", ...words);
const notStarted = (...words: string[]) => ({ start: says("plugin-not-started", ...words) });

/** What a plugin gets on a box with each of the configurations, besides what works. */
const CONFIGURED: Record<string, Answers> = {
  "no-tcp-forwarding": {
    ...WORKS,
    socket: forbidden("AllowTcpForwarding"),
    port: forbidden("AllowTcpForwarding"),
    "socket back": forbidden("AllowTcpForwarding"),
    "port back": forbidden("AllowTcpForwarding"),
  },
  "only-local-forwarding": {
    ...WORKS,
    "socket back": forbidden("AllowStreamLocalForwarding", "AllowTcpForwarding"),
    "port back": forbidden("AllowTcpForwarding"),
  },
  "no-streamlocal": {
    ...WORKS,
    socket: forbidden("AllowStreamLocalForwarding"),
    "socket back": forbidden("AllowStreamLocalForwarding"),
  },
  "disable-forwarding": {
    ...WORKS,
    socket: forbidden("DisableForwarding"),
    port: forbidden("DisableForwarding"),
    "socket back": forbidden("DisableForwarding"),
    "port back": forbidden("DisableForwarding"),
  },
  "permit-open": { ...WORKS, socket: forbidden("PermitOpen"), port: forbidden("PermitOpen") },
  "permit-listen": { ...WORKS, "port back": forbidden("PermitListen") },
  "max-sessions-1": WORKS,
  "forced-command": notStarted("this account only greets", "ForceCommand"),
  "sftp-only": notStarted("sftp connections only", "ForceCommand"),
};

/** What a plugin gets by other keys, logins and servers. */
const OTHERS: [options: ContainerOptions, answers: Answers][] = [
  [{}, WORKS],
  [{ user: "root" }, WORKS],
  [{ user: "robot" }, notStarted("account is currently not available", "nologin")],
  [
    { keyOptions: "restrict" },
    {
      ...WORKS,
      socket: forbidden("restrict"),
      port: forbidden("restrict"),
      "socket back": forbidden("restrict"),
      "port back": forbidden("restrict"),
    },
  ],
  [{ keyOptions: 'command="date"' }, notStarted("command=")],
];

describe.skipIf(!hasTier("container"))("container: a plugin on a box", () => {
  test("meets every configuration in this file", () => {
    const there = readdirSync(CONFIGURATIONS).map((name) => name.replace(/\.conf$/, ""));
    expect(there.sort()).toEqual(Object.keys(CONFIGURED).sort());
  });

  test.each(Object.entries(CONFIGURED))(
    "that is configured with %s gets what is left, and all by relays",
    async (configuration, answers) => {
      await using server = await startContainer({ configuration });
      expect(await askOf(server, { relay: "never" })).toEqual(answers);
      expect(await askOf(server)).toEqual(answers.socket ? WORKS : answers);
    },
  );

  test.each(OTHERS)("with %j gets what is left, and all by relays", async (options, answers) => {
    await using server = await startContainer({ suite: "trixie", ...options });
    expect(await askOf(server, { relay: "never" })).toEqual(answers);
    expect(await askOf(server)).toEqual(answers.socket ? WORKS : answers);
  });

  test("with MaxSessions 1 gets a connection for each plugin of a pool; one connection has room for one", async () => {
    await using server = await startContainer({ configuration: "max-sessions-1" });
    const { destination, ...options } = connectTo(server);
    const plugin: PluginOptions = { command: ["/fixtures/stays.sh"], killGraceMs: 1000 };
    await using pool = new ConnectionPool(options);
    const pooled = [1, 2].map(() => new SshRunner({ destination, pool, ...plugin }));
    await Promise.all(pooled.map((runner) => runner.start()));
    expect(pool.size).toBe(2);
    await Promise.all(pooled.map((runner) => runner.kill()));

    await using connection = await connect(destination, options);
    const on = () => new SshRunner({ connection, ...plugin });
    await using first = on();
    await first.start();
    await using second = on();
    expect(await failureOf(second.start())).toMatchObject({
      code: "plugin-not-started",
      message: expect.stringContaining("MaxSessions"),
    });
    await first.kill();
    await using third = on();
    await third.start();
  });

  test("with an old dropbear is reached through ports, and with a newer one through sockets too", async () => {
    const only: Answers = { ...WORKS, socket: says("unsupported", "TCP"), "socket back": says("forward-forbidden") };
    const both: Answers = { ...WORKS, "socket back": says("forward-forbidden") };
    for (const [suite, answers] of [
      ["bookworm", only],
      ["trixie", both],
    ] as const) {
      await using server = await startContainer({ image: "dropbear", suite });
      expect(await askOf(server, { relay: "never" })).toEqual(answers);
      expect(await askOf(server)).toEqual(WORKS);
    }
  });

  // Its own process namespace, where the server is process 1 and inherits every orphan; dropbear's box has no `ps`.
  test.each(["sshd", "dropbear"] as const)("leaves nothing there when the connection breaks: %s", async (image) => {
    await using server = await startContainer({ image });
    await using runner = runnerOn(server, ["/fixtures/has-children.sh", "stays"]);
    await runner.start();
    await new Said(runner.stdout).until(/\d+ \d+\n/);
    const sleepers = () => server.processes().filter((process) => process.includes("sleep 600"));
    await eventually(() => sleepers().length === 3, { what: "a plugin and its two children", state: server.processes });
    const waiting = failureOf(runner.wait());
    server.killSessions("SIGKILL");
    expect((await waiting).code).toBe("connection-lost");
  });
});
