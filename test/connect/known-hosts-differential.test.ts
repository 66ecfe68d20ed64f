import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { inspect, promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import { readKnownHosts } from "../../src/connect/known-hosts.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { Random } from "../tools/random.ts";
import { rejectionOf } from "./failure-of.ts";
import { ecdsa, ed25519, rsa, words } from "./host-key-blobs.ts";
import { type Keys, type KnownHostsCase, makeCase } from "./known-hosts-cases.ts";
import { Scratch } from "./scratch.ts";

const run = promisify(execFile);

const CASES = 300;
/** How many are asked at once. */
const WORKERS = 4;
/** For both clients: the name is what the files are about, and this is what answers. */
const way = (port: number) => `socat - TCP4:127.0.0.1:${port}`;

/** A case, written down. */
interface Question extends Omit<KnownHostsCase, "userFiles" | "globalFiles"> {
  readonly userKnownHostsFile: readonly string[];
  readonly globalKnownHostsFile: readonly string[];
}

/** A case in a few lines: keys by their beginning and their end, and what is very long likewise. */
function shortened(one: KnownHostsCase): string {
  const short = (text: string) => text.replace(/([\w+/=]{20})[\w+/=]{30,}([\w+/=]{12})/g, "$1…$2");
  const files = (texts: readonly string[]) => texts.map(short);
  return inspect({ ...one, userFiles: files(one.userFiles), globalFiles: files(one.globalFiles) });
}

describe.skipIf(!hasTier("openssh") || !has("socat"))("what known_hosts files say, by ssh's word", () => {
  let scratch: Scratch;
  let server: TestServer;
  let keys: Keys;

  beforeAll(async () => {
    scratch = await Scratch.make();
    const more = await Promise.all(["ecdsa", "rsa"].map(makeKey));
    const options = ["MaxStartups 100", ...more.map(({ file }) => `HostKey ${file}`)];
    server = await startOpenSsh({ options, logLevel: "INFO" });
    const [, ...own] = (await readFile(server.knownHostsFile, "utf8")).trim().split(" ");
    keys = {
      server: [own.slice(0, 2).join(" "), ...more.map(({ line }) => line)],
      strangers: [ed25519(), ecdsa(), rsa(), ecdsa(384), ed25519()].map(words),
    };
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
  });

  async function makeKey(type: string): Promise<{ file: string; line: string }> {
    const file = scratch.path(`host-${type}`);
    await run("ssh-keygen", ["-q", "-t", type, "-N", "", "-f", file]);
    return { file, line: (await readFile(`${file}.pub`, "utf8")).split(" ").slice(0, 2).join(" ") };
  }

  let count = 0;
  async function write({ userFiles, globalFiles, ...rest }: KnownHostsCase): Promise<Question> {
    const put = (texts: readonly string[]) =>
      Promise.all(texts.map((text) => scratch.put(`known_hosts-${count++}`, text)));
    return { ...rest, userKnownHostsFile: await put(userFiles), globalKnownHostsFile: await put(globalFiles) };
  }

  /** What the real client makes of the key: it is trusted if it goes on to ask for a login. */
  async function askSsh(question: Question): Promise<string> {
    const { host, port, hostKeyAlias, hostKeyAlgorithms, userKnownHostsFile, globalKnownHostsFile } = question;
    const options = [
      ["UserKnownHostsFile", userKnownHostsFile.join(" ")],
      ["GlobalKnownHostsFile", globalKnownHostsFile.join(" ") || "none"],
      ["ProxyCommand", way(server.port)],
      ["StrictHostKeyChecking", "yes"],
      ["PreferredAuthentications", "none"],
      ["IdentityAgent", "none"],
      ["BatchMode", "yes"],
      ["ConnectTimeout", "60"],
      ...(hostKeyAlias === undefined ? [] : [["HostKeyAlias", hostKeyAlias]]),
      ...(hostKeyAlgorithms === undefined ? [] : [["HostKeyAlgorithms", hostKeyAlgorithms]]),
    ].flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    const command = ["-F", "none", ...options, "-p", String(port), "-l", "nobody", host, "true"];
    const said = await run("ssh", command).then(
      ({ stderr }) => stderr,
      ({ stderr }: { stderr: string }) => stderr,
    );
    if (said.includes("Permission denied")) return "trusted";
    if (said.includes("HOST IDENTIFICATION HAS CHANGED")) return "host-key-changed";
    if (said.includes("is marked as revoked") && !said.includes("host key is known")) return "host-key-revoked";
    return /No \S+ host key is known/.test(said) ? "host-key-unknown" : `something else: ${said}`;
  }

  /** What we make of it: a whole connection, by which somebody has logged in, or the error's code. */
  async function askUs(question: Question): Promise<string> {
    try {
      const connection = await connectTo(question);
      await connection.close();
      return "trusted";
    } catch (failure) {
      if (failure instanceof PluginError) return failure.code;
      throw failure;
    }
  }

  function connectTo({ host, port, ...options }: Question): Promise<Connection> {
    return connect(
      { host, port, user: server.user },
      {
        ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
        configFile: "none",
        proxyCommand: way(server.port),
        strictHostKeyChecking: "yes",
        identityAgent: "none",
        identityFile: server.identityFile,
        connectTimeoutMs: 60_000,
      },
    );
  }

  /**
   * Why we may differ, on purpose. For ports other than 22 ssh looks at the bare name only when it is about to give up,
   * and then only for the very key. And where its list begins with certificates of a type, it is content with a key of
   * that type on record and asks for no other first, even if that type has been taken from the list.
   */
  async function excuse(question: Question, theirs: string, ours: string): Promise<string | undefined> {
    const known = await readKnownHosts(question);
    const isRevokedBare = known.keysWithoutPort.some(({ marker }) => marker === "revoked");
    if (ours === "host-key-revoked" && theirs !== ours && isRevokedBare) return "revoked for the bare name";
    const own = known.keys.filter(({ marker }) => marker === "none").map(({ type }) => type);
    const hasBare = known.keysWithoutPort.some(({ marker }) => marker === "none");
    const isOrdered = !question.hostKeyAlgorithms || /^[+-]/.test(question.hostKeyAlgorithms);
    if (theirs === "host-key-unknown" && ours === "trusted" && isOrdered && own.length === 0 && hasBare) {
      return "asked for by the bare name";
    }
    const isWithout = question.hostKeyAlgorithms === "-ssh-ed25519" && own.includes("ssh-ed25519");
    return theirs === "host-key-changed" && isWithout ? "asked for by another type on record" : undefined;
  }

  test(`is what we do, in ${CASES} generated cases`, { timeout: 600_000 }, async () => {
    const random = new Random(4253);
    const cases = random.times(CASES, () => makeCase(random, keys));
    const seen: Record<string, number> = {};
    const excused: Record<string, number> = {};
    const wrong: string[] = [];
    const judge = async (one: KnownHostsCase) => {
      const question = await write(one);
      const [theirs, ours] = await Promise.all([askSsh(question), askUs(question)]);
      seen[theirs] = (seen[theirs] ?? 0) + 1;
      if (theirs === ours) return;
      const why = await excuse(question, theirs, ours);
      if (why) excused[why] = (excused[why] ?? 0) + 1;
      else wrong.push(`ssh: ${theirs}, we: ${ours}, for ${shortened(one)}`);
    };
    const worker = async () => {
      for (let one = cases.pop(); one; one = cases.pop()) await judge(one);
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    expect(wrong.slice(0, 10).join("\n\n")).toBe("");
    // Every verdict is well represented, and what is excused is rare.
    for (const verdict of ["trusted", "host-key-unknown", "host-key-changed", "host-key-revoked"]) {
      expect(seen[verdict], JSON.stringify(seen)).toBeGreaterThan(CASES / 40);
    }
    expect(Object.keys(seen)).toHaveLength(4);
    const rare = Object.values(excused).reduce((sum, number) => sum + number, 0);
    expect(rare, JSON.stringify(excused)).toBeLessThan(CASES / 20);
  });

  test("a key that changed for one algorithm only is refused for that one, by name", async () => {
    const [ed = "", ec = "", rs = ""] = keys.server;
    const lines = [ed, keys.strangers[1], rs].map((key) => `box ${key}`);
    const userKnownHostsFile = [await scratch.put("changed", `${lines.join("\n")}\n`)];
    const question = { host: "box", port: 22, hostKeyAlias: undefined, userKnownHostsFile, globalKnownHostsFile: [] };
    expect(ec).toMatch(/^ecdsa-sha2-nistp256 /);
    for (const [hostKeyAlgorithms, verdict] of [
      [undefined, "trusted"],
      ["rsa-sha2-512", "trusted"],
      ["ecdsa-sha2-nistp256", "host-key-changed"],
      ["ecdsa-sha2-nistp256,ssh-ed25519", "host-key-changed"],
      ["ecdsa-sha2-nistp384,ssh-ed25519", "trusted"],
    ] as const) {
      const [theirs, ours] = await Promise.all([
        askSsh({ ...question, hostKeyAlgorithms }),
        askUs({ ...question, hostKeyAlgorithms }),
      ]);
      expect({ hostKeyAlgorithms, theirs, ours }).toEqual({ hostKeyAlgorithms, theirs: verdict, ours: verdict });
    }
    const failure = await rejectionOf(connectTo({ ...question, hostKeyAlgorithms: "ecdsa-sha2-nistp256" }));
    expect(failure.message).toMatch(/another host key than the one on record: ecdsa-sha2-nistp256 SHA256:\S+,/);
    expect(failure.message).toContain(`but ${userKnownHostsFile[0]}:2 has ecdsa-sha2-nistp256 SHA256:`);
  });
});
