import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startEmbedded } from "../servers/embedded.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { runNode } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { expectMessage, expectNothingLeft, startCli, to } from "./run-demo.ts";

const ANNOUNCED = "go-plugin-ssh: interrupted; tidying up. Interrupt again to end at once.\n";

describe("a demonstration that ends early", () => {
  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("tidies up after %s, its own server too", async (signal) => {
    using user = await openUserHome({ dist: built() });
    const itself = new URL("../fixtures/signals-itself.mjs", import.meta.url);
    itself.search = String(new URLSearchParams({ text: '"step":"server"', name: signal }));
    const args = ["--import", itself.href, join(built(), "go-plugin-ssh.js"), "demo", "--json"];
    const ended = await runNode(args, { env: user.env, apart: true });
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(ended.stderr).toBe(`${ANNOUNCED}go-plugin-ssh: [aborted] Interrupted by ${signal}.\n`);
    expect(ended.stdout).not.toContain('"step":"kill"');
    expectNothingLeft(ended);
  });

  test.each(["banner", "auth", "channel", "exec", "forward"] as const)("tidies up while %s hangs", async (hangAt) => {
    await using server = await startEmbedded({ hangAt });
    using user = await openUserHome({ dist: built(), server });
    const run = startCli(built(), user, to(server));
    if (hangAt === "forward") await run.said("The plugin listens on");
    else if (hangAt === "exec" || hangAt === "channel") await run.said("Logged in");
    else await eventually(() => server.embedded.accepted === 1, { what: "the demonstration to connect" });
    run.child.kill("SIGINT");
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(ended.stderr).toBe(`${ANNOUNCED}go-plugin-ssh: [aborted] Interrupted by SIGINT.\n`);
    expectNothingLeft(ended);
    server.embedded.hangAt = undefined;
  });

  test("ends at once after a second signal", async () => {
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server });
    const run = startCli(built(), user, to(server));
    await run.said("Started the plugin on the box");
    server.embedded.freeze();
    run.child.kill("SIGINT");
    await run.said(ANNOUNCED);
    run.child.kill("SIGINT");
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: null, signal: "SIGINT" });
  });

  test.each(["connect", "exec", "handshake", "dial", "call", "stream"])(
    "says that the connection was lost, after %s",
    async (step) => {
      await using server = await startEmbedded();
      using user = await openUserHome({ dist: built(), server });
      const run = startCli(built(), user, [...to(server), "--json"]);
      await run.said(`"step":"${step}"`);
      // Nothing that is under way may arrive, or the story might come to its end first.
      server.embedded.freeze();
      server.embedded.resetConnections();
      const ended = await run.ended;
      expect(ended).toMatchObject({ code: 255, signal: null });
      expectMessage(ended, /^go-plugin-ssh: \[connection-lost\] /);
    },
  );

  test("tidies up when nobody reads its output", async () => {
    using user = await openUserHome({ dist: built() });
    const run = startCli(built(), user, ["demo"]);
    run.child.stdout?.destroy();
    const ended = await run.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toBe("go-plugin-ssh: [aborted] Nobody reads the output any more, so it ended early.\n");
  });

  test("bears that nobody reads its messages either", async () => {
    using user = await openUserHome({ dist: built() });
    const run = startCli(built(), user, ["demo"]);
    run.child.stdout?.destroy();
    run.child.stderr?.destroy();
    expect(await run.ended).toMatchObject({ code: 130, signal: null });
  });
});
