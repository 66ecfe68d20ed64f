import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import {
  asyncSshKind,
  containerKind,
  dropbearKind,
  embeddedKind,
  goSshKind,
  opensshKind,
  type RunnerKind,
} from "../contract/runner-kinds.ts";
import { abilitiesOf } from "../servers/abilities.ts";
import { startContainer } from "../servers/container.ts";
import { hasTier } from "../tiers/tiers.ts";
import { tableOf } from "./markdown.ts";

const TEXT = readFileSync(fileURLToPath(new URL("../../docs/compatibility.md", import.meta.url)), "utf8");

/** The table's rows by the server's name, each with its cells by their heading. */
const ROWS = new Map(tableOf(TEXT, "server").map(([name = "", ...cells]) => [name, cells]));
const HEADINGS = (/^\| server \|(.*)\|$/m.exec(TEXT)?.[1] ?? "").split("|").map((cell) => cell.trim());

/** What a row is about, and what it takes to prove it. */
const KINDS = [
  ["the one in this package", "embedded", embeddedKind],
  ["OpenSSH", "openssh", opensshKind()],
  ["dropbear, older", "dropbear", dropbearKind("installed")],
  ["dropbear, newer", "dropbear-built", dropbearKind("built")],
  ["asyncssh (Python)", "asyncssh", asyncSshKind],
  ["x/crypto/ssh (Go)", "go-ssh", goSshKind],
] as const;

/** All that is tried behind one server takes a while on a machine that is busy. */
const LIMIT_MS = 4 * 60_000;

/** The row about a server in a container. */
const CONTAINED = "OpenSSH, newer";

describe("docs/compatibility.md", () => {
  test.each(KINDS)("tells what works with %s", { timeout: LIMIT_MS }, async (name, tier, kind) => {
    const row = ROWS.get(name);
    expect(row, `There is no row for ${name}.`).toBeDefined();
    if (hasTier(tier)) await check(name, kind);
  });

  const title = `container: tells what works with ${CONTAINED}`;
  test.skipIf(!hasTier("container"))(title, { timeout: LIMIT_MS }, async () => {
    const shared = mkdtempSync(join(tmpdir(), "gpc"));
    chmodSync(shared, 0o755);
    try {
      await using container = await startContainer({ suite: "trixie", shared, samePids: true });
      await check(
        CONTAINED,
        containerKind("sshd of trixie", shared, () => container),
      );
    } finally {
      rmSync(shared, { recursive: true });
    }
  });

  test("tells of no server that nobody tries", () => {
    const names = KINDS.map(([name]) => name as string);
    expect([...ROWS.keys()].sort()).toEqual([...names, CONTAINED].sort());
  });
});

/** Tries everything behind a server, and compares that with its row. */
async function check(name: string, kind: RunnerKind): Promise<void> {
  const row = ROWS.get(name);
  const { version, ...abilities } = await abilitiesOf(kind);
  const told = Object.fromEntries(HEADINGS.map((heading, index) => [heading, row?.[index]]));
  expect({ ...abilities, measured: told.measured }, version).toEqual(told);
}
