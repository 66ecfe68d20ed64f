import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { lockedPublicHalf } from "../../src/connect/locked-public-half.ts";
import { has } from "../tiers/tiers.ts";
import { Random } from "../tools/random.ts";
import { Scratch } from "./scratch.ts";

describe.skipIf(!has("ssh-keygen"))("the public half of a locked key", () => {
  async function lockedKey(...args: string[]): Promise<{ locked: Buffer; base64: string }> {
    await using scratch = await Scratch.make();
    const file = scratch.path("key");
    execFileSync("ssh-keygen", ["-q", ...args, "-N", "sesame-open", "-a", "1", "-f", file]);
    return { locked: readFileSync(file), base64: readFileSync(`${file}.pub`, "utf8").split(" ")[1] ?? "" };
  }

  test.each([
    ["ed25519", ["-t", "ed25519"]],
    ["ecdsa", ["-t", "ecdsa", "-b", "384"]],
    ["rsa", ["-t", "rsa", "-b", "2048"]],
  ])("is read without the passphrase: %s", async (_what, args) => {
    const { locked, base64 } = await lockedKey(...args);
    expect(lockedPublicHalf(locked)?.getPublicSSH().toString("base64")).toBe(base64);
    expect(lockedPublicHalf(locked)?.isPrivateKey()).toBe(false);
  });

  test("is not in a key of the older format", async () => {
    const { locked } = await lockedKey("-t", "rsa", "-b", "2048", "-m", "PEM");
    expect(lockedPublicHalf(locked)).toBeUndefined();
  });

  test("is not found in what is broken, and nothing breaks", async () => {
    const { locked, base64 } = await lockedKey("-t", "ed25519");
    const random = new Random(7);
    for (let round = 0; round < 2000; round += 1) {
      const half = lockedPublicHalf(random.mutate(locked, ["\0", "A", "\n", "-----END"]));
      if (half) expect(half.getPublicSSH().length).toBe(Buffer.from(base64, "base64").length);
    }
    for (let length = 0; length < 300; length += 1) lockedPublicHalf(locked.subarray(0, length));
  });
});
