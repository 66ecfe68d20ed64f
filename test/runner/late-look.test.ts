import { expect, test } from "vitest";
import type { Connection } from "../../src/contract/connection.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { withFakeTimeouts } from "../connect/fake-timeouts.ts";
import { failureOf } from "../contract/said.ts";
import { FakeBox, settled } from "../exec/fake-box.ts";

test("a busy box may take its time to tell why a plugin did not start", () =>
  withFakeTimeouts(async (pass) => {
    const box = new FakeBox();
    const connection = { name: "me@box:22", lost: box.lost.signal, exec: box.exec } as unknown as Connection;
    const runner = new SshRunner({ connection, command: ["/plugin"] });
    const starting = runner.start();
    await settled();
    box.channel().report();
    await starting;
    const failure = failureOf(runner.wait());
    box.channel().exit(126);
    await settled();
    pass(10_000);
    await settled();
    const look = box.channel(1);
    for (const fact of ["file=/plugin", "header=", "shebang=#!/no/such"]) look.stdout.write(`${look.mark} ${fact}\n`);
    look.exit(0);
    expect(await failure).toMatchObject({
      code: "plugin-not-started",
      message: expect.stringContaining("its interpreter could not be run (#!/no/such)"),
    });
    await runner.kill();
  }));
