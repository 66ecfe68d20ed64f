import { describe, expect, test } from "vitest";
import { startContainer } from "../servers/container.ts";
import { SUITES } from "../servers/docker.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { openUserHome } from "../tools/user-home.ts";
import { STORY, startCli, stepsOf } from "./run-demo.ts";

describe.skipIf(!hasTier("container"))("container: go-plugin-ssh demo --to", () => {
  test.each(SUITES)("runs on the Node of %s, with the words of docker/README.md", async (suite) => {
    await using server = await startContainer({ suite });
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const words = ["demo", "--to", `ssh://dev@127.0.0.1:${server.port}`, "--accept-new", "--json"];
    const { code, stdout, stderr } = await startCli(built(), user, words).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stepsOf({ stdout }).map(({ step }) => step)).toEqual(STORY);
  });
});
