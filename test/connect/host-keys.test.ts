import { execFile, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fingerprint } from "../../src/connect/host-key.ts";
import { hostKeyAlgorithms } from "../../src/connect/host-key-algorithms.ts";
import { checkPins } from "../../src/connect/host-key-pins.ts";
import { type HostKeyQuestion, verifyHostKey } from "../../src/connect/host-keys.ts";
import { findHost, type KnownHosts, readKnownHosts } from "../../src/connect/known-hosts.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { blob, ecdsa, ed25519, rsa, words } from "./host-key-blobs.ts";

const directory = mkdtempSync(join(tmpdir(), "host-keys-"));
afterAll(() => rmSync(directory, { recursive: true }));

const KEY = ed25519();
const OTHER = ed25519();
const ECDSA = ecdsa();
const RSA = rsa();

let count = 0;
/** A path that no test has used yet, in a directory of its own. */
function freshPath(name = "known_hosts"): string {
  const path = join(directory, String(count++), name);
  mkdirSync(dirname(path));
  return path;
}

/** A file with `text`. */
function file(text: string, name?: string): string {
  const path = freshPath(name);
  writeFileSync(path, text);
  return path;
}

/** The question whether KEY belongs to box, port 2222. */
function question(user: string, more: Partial<HostKeyQuestion> = {}): HostKeyQuestion {
  return {
    key: KEY,
    host: "box",
    port: 2222,
    strictHostKeyChecking: "yes",
    userKnownHostsFile: [user],
    globalKnownHostsFile: [],
    ...more,
  };
}

/** The error that `answer` ends with, or `undefined` if the key is trusted. */
async function refusal(answer: Promise<void>): Promise<PluginError | undefined> {
  return answer.then(
    () => undefined,
    (failure: unknown) => {
      expect(failure).toBeInstanceOf(PluginError);
      return failure as PluginError;
    },
  );
}

describe("a key is trusted", () => {
  test.each([
    ["by its own line", `[box]:2222 ${words(KEY)}`],
    ["by a wildcard", `* ${words(KEY)}`],
    ["by one of several lines", `[box]:2222 ${words(OTHER)}\n[box]:2222 ${words(KEY)}`],
    ["by a line among those of other types", `[box]:2222 ${words(ECDSA)}\n[box]:2222 ${words(KEY)}`],
    ["by the bare name of the host", `box ${words(KEY)}`],
    ["though another key is revoked", `@revoked * ${words(OTHER)}\n[box]:2222 ${words(KEY)}`],
  ])("%s", async (_, text) => {
    await verifyHostKey(question(file(text)));
  });

  test("by any of the files", async () => {
    const first = file(`[box]:2222 ${words(OTHER)}`);
    const globalKnownHostsFile = ["/nowhere/at/all", file(`[box]:2222 ${words(KEY)}`)];
    await verifyHostKey(question(first, { globalKnownHostsFile }));
  });

  test("by its alias, whatever the port and however it is spelt", async () => {
    await verifyHostKey(question(file(`name ${words(KEY)}`), { hostKeyAlias: "Name" }));
  });

  test("when its numbers come with zeros in front", async () => {
    const [e, n] = [RSA.subarray(15, 18), RSA.subarray(22)];
    const padded = blob("ssh-rsa", Buffer.concat([Buffer.alloc(2), e]), Buffer.concat([Buffer.alloc(2), n]));
    expect(padded.length).toBe(RSA.length + 4);
    await verifyHostKey(question(file(`[box]:2222 ${words(RSA)}`), { key: padded }));
  });
});

describe("an unknown key", () => {
  test("is refused with all that is needed to check and to add it", async () => {
    const user = file(`other ${words(KEY)}\n`);
    const failure = await refusal(verifyHostKey(question(user, { globalKnownHostsFile: ["/nowhere/at/all"] })));
    expect(failure?.code).toBe("host-key-unknown");
    expect(failure?.message).toContain("box (port 2222)");
    expect(failure?.message).toContain(`ssh-ed25519 ${fingerprint(KEY)}`);
    expect(failure?.message).toContain(`No usable entry for [box]:2222 is in ${user}, /nowhere/at/all.`);
    expect(failure?.hint).toContain("`ssh-keyscan -p 2222 box | ssh-keygen -lf -`");
    expect(failure?.hint).toContain(`add this line to ${user}:\n  [box]:2222 ${words(KEY)}\n`);
    expect(failure?.hint).toContain('`strictHostKeyChecking: "accept-new"`');
  });

  test("is trusted once the line from the message is added", async () => {
    const user = freshPath();
    const failure = await refusal(verifyHostKey(question(user)));
    const line = failure?.hint.split("\n").find((part) => part.startsWith("  "));
    writeFileSync(user, `${line?.trim()}\n`);
    await verifyHostKey(question(user));
  });

  test("is refused even if it is an authority's, or the bare name has another", async () => {
    const user = file(`@cert-authority *,[box]:2222 ${words(KEY)}\nbox ${words(OTHER)}\n`);
    const failure = await refusal(verifyHostKey(question(user)));
    expect(failure?.code).toBe("host-key-unknown");
    expect(failure?.message).toContain(`${user}:1 names a certificate authority`);
  });

  test("is refused when no file is configured", async () => {
    const failure = await refusal(verifyHostKey({ ...question(""), userKnownHostsFile: [] }));
    expect(failure?.message).toContain("any file, because none is configured");
  });

  test("is refused naming the lines and the files that could not be read", async () => {
    const user = file("[box]:2222 ssh-ed25519 AAAA\n");
    const failure = await refusal(verifyHostKey(question(user, { globalKnownHostsFile: [directory] })));
    expect(failure?.code).toBe("host-key-unknown");
    expect(failure?.message).toContain(`${user}:1 was skipped: a key that cannot be read.`);
    expect(failure?.message).toContain(`${directory} could not be read (EISDIR).`);
  });
});

describe("a changed key", () => {
  test("is refused naming every line that disagrees and the commands that remove them", async () => {
    const user = file(`# mine\n[box]:2222 ${words(ECDSA)}\n[box]:2222 ${words(OTHER)}\n`, "it's mine");
    const theirs = file(`* ${words(OTHER)}\n`);
    const failure = await refusal(verifyHostKey(question(user, { globalKnownHostsFile: [theirs] })));
    expect(failure?.code).toBe("host-key-changed");
    expect(failure?.message).toContain(`: ssh-ed25519 ${fingerprint(KEY)}, but ${user}:3 has ssh-ed25519`);
    expect(failure?.message).toContain(`${user}:3 has ssh-ed25519 ${fingerprint(OTHER)}`);
    expect(failure?.message).toContain(`${theirs}:1 has ssh-ed25519 ${fingerprint(OTHER)}`);
    expect(failure?.message).toContain(`${user}:2 has ecdsa-sha2-nistp256 ${fingerprint(ECDSA)}`);
    expect(failure?.hint).toContain(`\`ssh-keygen -f '${user.replace("'", "'\\''")}' -R '[box]:2222'\``);
    expect(failure?.hint).toContain(`\`ssh-keygen -f ${theirs} -R '[box]:2222'\``);
  });

  test("is refused when only keys of other types are on record, and says so", async () => {
    for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
      const user = file(`[box]:2222 ${words(ECDSA)}\n`);
      const failure = await refusal(verifyHostKey(question(user, { strictHostKeyChecking })));
      expect(failure?.code).toBe("host-key-changed");
      expect(failure?.message).toContain("No ssh-ed25519 key is on record");
      expect(readFileSync(user, "utf8")).not.toContain("ssh-ed25519");
    }
  });

  test("is refused though the bare name vouches for it", async () => {
    const user = file(`box ${words(KEY)}\n[box]:2222 ${words(OTHER)}\n`);
    expect(await refusal(verifyHostKey(question(user)))).toMatchObject({ code: "host-key-changed" });
  });

  test("is refused by accept-new, and the file stays as it is", async () => {
    const text = `[box]:2222 ${words(OTHER)}`;
    const user = file(text);
    const answer = verifyHostKey(question(user, { strictHostKeyChecking: "accept-new" }));
    expect(await refusal(answer)).toMatchObject({ code: "host-key-changed" });
    expect(readFileSync(user, "utf8")).toBe(text);
  });
});

describe("a revoked key is refused", () => {
  test.each([
    ["though it is known", `[box]:2222 ${words(KEY)}\n@revoked [box]:2222 ${words(KEY)}\n`, 2],
    ["though another is on record", `@revoked * ${words(KEY)}\n[box]:2222 ${words(OTHER)}\n`, 1],
    ["for the bare name, which OpenSSH would let pass", `@revoked box ${words(KEY)}\n[box]:2222 ${words(KEY)}\n`, 1],
  ])("%s", async (_, text, line) => {
    for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
      const user = file(text);
      const failure = await refusal(verifyHostKey(question(user, { strictHostKeyChecking })));
      expect(failure?.code).toBe("host-key-revoked");
      expect(failure?.message).toContain(`${user}:${line} marks as @revoked: ssh-ed25519 ${fingerprint(KEY)}`);
      expect(readFileSync(user, "utf8")).toBe(text);
    }
  });

  test("though another file knows it, and though it is pinned", async () => {
    const user = file(`[box]:2222 ${words(KEY)}`);
    const globalKnownHostsFile = [file(`@revoked * ${words(KEY)}`)];
    for (const hostKeyFingerprints of [undefined, [fingerprint(KEY)]]) {
      const answer = verifyHostKey(question(user, { globalKnownHostsFile, hostKeyFingerprints }));
      expect(await refusal(answer)).toMatchObject({ code: "host-key-revoked" });
    }
  });
});

describe("pins", () => {
  test("decide instead of the files", async () => {
    const hostKeyFingerprints = [fingerprint(OTHER), fingerprint(KEY)];
    await verifyHostKey(question(freshPath(), { hostKeyFingerprints }));
    await verifyHostKey(question(file(`[box]:2222 ${words(OTHER)}`), { hostKeyFingerprints }));
  });

  test("refuse every other key, known or not, and say what they expected", async () => {
    const hostKeyFingerprints = [fingerprint(OTHER), fingerprint(RSA)];
    for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
      for (const text of [`[box]:2222 ${words(KEY)}\n`, ""]) {
        const user = file(text);
        const failure = await refusal(verifyHostKey(question(user, { hostKeyFingerprints, strictHostKeyChecking })));
        expect(failure?.code).toBe("host-key-changed");
        expect(failure?.message).toContain(`not pinned: ssh-ed25519 ${fingerprint(KEY)}`);
        expect(failure?.message).toContain(`expects ${fingerprint(OTHER)} or ${fingerprint(RSA)}.`);
        expect(readFileSync(user, "utf8")).toBe(text);
      }
    }
  });

  test.each([
    [[]],
    [["SHA256:"]],
    [[fingerprint(KEY), "SHA256:short"]],
    [[`${fingerprint(KEY)}=`]],
    [[fingerprint(KEY).replace("SHA256", "sha256")]],
    [[fingerprint(KEY).slice("SHA256:".length)]],
    [[`SHA256:${"-".repeat(43)}`]],
    [[`SHA256:${"A".repeat(42)}B`]],
    [["MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"]],
    [[undefined as unknown as string]],
    ["SHA256:text" as unknown as string[]],
  ])("%j are refused before anything is looked at", async (pins) => {
    expect(() => checkPins(pins)).toThrow(expect.objectContaining({ code: "bad-options" }));
    const answer = verifyHostKey(question("/nowhere/at/all", { hostKeyFingerprints: pins }));
    expect(await refusal(answer)).toMatchObject({ code: "bad-options" });
  });

  test("no pins and good pins are fine", () => {
    checkPins(undefined);
    checkPins([KEY, OTHER, RSA, ECDSA].map(fingerprint));
  });
});

describe("accept-new", () => {
  const accept = (user: string, more: Partial<HostKeyQuestion> = {}) =>
    verifyHostKey(question(user, { strictHostKeyChecking: "accept-new", ...more }));

  test("records the first key, in private, and refuses the next one", async () => {
    const user = join(directory, "new", "home", ".ssh", "known_hosts");
    await accept(user);
    expect(readFileSync(user, "utf8")).toBe(`[box]:2222 ${words(KEY)}\n`);
    expect(statSync(user).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(user)).mode & 0o777).toBe(0o700);
    await verifyHostKey(question(user));
    expect(await refusal(accept(user, { key: OTHER }))).toMatchObject({ code: "host-key-changed" });
    expect(readFileSync(user, "utf8")).toBe(`[box]:2222 ${words(KEY)}\n`);
  });

  test("writes to the first file only, leaves its mode alone and ends its last line", async () => {
    const user = file("# a last line without an end");
    chmodSync(user, 0o644);
    const second = file("");
    await accept(user, { host: "Box.Example", port: 22, userKnownHostsFile: [user, second] });
    expect(readFileSync(user, "utf8")).toBe(`# a last line without an end\nbox.example ${words(KEY)}\n`);
    expect(readFileSync(second, "utf8")).toBe("");
    expect(statSync(user).mode & 0o777).toBe(0o644);
  });

  test("records an alias without a port", async () => {
    const user = freshPath();
    await accept(user, { hostKeyAlias: "Name" });
    expect(readFileSync(user, "utf8")).toBe(`name ${words(KEY)}\n`);
  });

  test("records nothing for a key that any file knows", async () => {
    const user = freshPath();
    await accept(user, { globalKnownHostsFile: [file(`box ${words(KEY)}`)] });
    expect(() => statSync(user)).toThrow("ENOENT");
  });

  test("records a key once, however many ask at once", async () => {
    const user = freshPath();
    await Promise.all([
      accept(user),
      accept(`${dirname(user)}/../${user.split("/").at(-2)}/known_hosts`),
      accept(user),
    ]);
    expect(readFileSync(user, "utf8")).toBe(`[box]:2222 ${words(KEY)}\n`);
  });

  test("trusts one of two keys that are shown at once", async () => {
    const user = freshPath();
    const failures = await Promise.all([refusal(accept(user)), refusal(accept(user, { key: OTHER }))]);
    expect(failures.filter(Boolean)).toMatchObject([{ code: "host-key-changed" }]);
    expect(readFileSync(user, "utf8").trim().split("\n")).toHaveLength(1);
  });

  test("records the keys of several hosts at once, each on a line of its own", async () => {
    const user = file("# a last line without an end");
    const hosts = Array.from({ length: 20 }, (_, index) => `box-${index}`);
    await Promise.all(hosts.map((host) => accept(user, { host })));
    const text = readFileSync(user, "utf8");
    for (const host of hosts) expect(findHost(text, user, `[${host}]:2222`).keys).toHaveLength(1);
    expect(text.split("\n")).toHaveLength(22);
  });

  test("is refused when the key cannot be recorded, with the line to add, and the next may try again", async () => {
    const blocked = file("a file where a directory should be");
    const user = join(blocked, "known_hosts");
    for (let attempt = 0; attempt < 2; attempt++) {
      const failure = await refusal(accept(user));
      expect(failure?.code).toBe("config-error");
      expect(failure?.message).toContain(`could not be recorded in ${user}`);
      expect(failure?.hint).toContain(`\n  [box]:2222 ${words(KEY)}`);
      expect(failure?.cause).toBeInstanceOf(Error);
    }
    expect(await refusal(accept("", { userKnownHostsFile: [] }))).toMatchObject({ code: "config-error" });
  });

  test.skipIf(!existsSync("/proc/self"))("is refused where no directory can be made", async () => {
    expect(await refusal(accept("/proc/nowhere/known_hosts"))).toMatchObject({ code: "config-error" });
  });

  test("is refused where the directory is a link to nowhere", async () => {
    symlinkSync("/nowhere/at/all", join(directory, "link"));
    expect(await refusal(accept(join(directory, "link", "known_hosts")))).toMatchObject({ code: "config-error" });
  });

  test("writes nothing after its signal has fired", async () => {
    const user = freshPath();
    expect(await refusal(accept(user, { signal: AbortSignal.abort() }))).toMatchObject({ code: "aborted" });
    const controller = new AbortController();
    const answers = [accept(user, { host: "first" }), accept(user, { signal: controller.signal })];
    controller.abort();
    expect(await refusal(answers[1] as Promise<void>)).toMatchObject({ code: "aborted" });
    await answers[0];
    await accept(user, { host: "last" });
    expect(readFileSync(user, "utf8")).toBe(`[first]:2222 ${words(KEY)}\n[last]:2222 ${words(KEY)}\n`);
  });
});

test.each([
  ["connect-failed", { key: Buffer.from("no key") }],
  ["bad-options", { host: "box,*" }],
  ["bad-options", { hostKeyAlias: "a b" }],
])("%s for a question that makes no sense: %o", async (code, more) => {
  const user = freshPath();
  const answer = verifyHostKey(question(user, { strictHostKeyChecking: "accept-new", ...more }));
  expect(await refusal(answer)).toMatchObject({ code });
  expect(() => statSync(user)).toThrow("ENOENT");
});

const SUPPORTED = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
  "ssh-rsa",
];

describe("host key algorithms", () => {
  const known = (text: string, bare = ""): KnownHosts => ({
    name: "box",
    keys: findHost(text, "file", "box").keys,
    keysWithoutPort: findHost(bare, "file", "box").keys,
    skipped: [],
    unreadable: [],
  });
  const RSA_FIRST = [...SUPPORTED.slice(4), ...SUPPORTED.slice(0, 4)];
  const P384_FIRST = ["ecdsa-sha2-nistp384", ...SUPPORTED.filter((name) => name !== "ecdsa-sha2-nistp384")];

  test.each([
    ["nothing on record", known(""), SUPPORTED],
    ["the best type on record", known(`box ${words(KEY)}\nbox ${words(RSA)}`), SUPPORTED],
    ["RSA on record", known(`box ${words(RSA)}`), RSA_FIRST],
    ["one curve on record", known(`box ${words(ecdsa(384))}`), P384_FIRST],
    [
      "two types on record",
      known(`box ${words(RSA)}\nbox ${words(ECDSA)}`),
      ["ecdsa-sha2-nistp256", ...RSA_FIRST.filter((name) => name !== "ecdsa-sha2-nistp256")],
    ],
    ["a type that is not supported on record", known(`box ${words(blob("ssh-dss", KEY))}`), SUPPORTED],
    ["an authority on record", known(`@cert-authority box ${words(RSA)}`), SUPPORTED],
    ["a revoked key on record", known(`box ${words(RSA)}\n@revoked box ${words(RSA)}`), SUPPORTED],
    [
      "a revoked key before another one of its type",
      known(`box ${words(RSA)}\nbox ${words(rsa())}\n@revoked box ${words(RSA)}`),
      SUPPORTED,
    ],
    ["a record of the bare name", known("", `box ${words(RSA)}`), RSA_FIRST],
    ["a record of both names", known(`box ${words(ecdsa(384))}`, `box ${words(RSA)}`), P384_FIRST],
  ])("with %s", (_, records, expected) => {
    expect(hostKeyAlgorithms(records, SUPPORTED)).toEqual(expected);
  });

  test("nothing is added to what is supported", () => {
    expect(hostKeyAlgorithms(known(`box ${words(RSA)}`), ["ssh-ed25519", "ssh-rsa"])).toEqual([
      "ssh-rsa",
      "ssh-ed25519",
    ]);
    expect(hostKeyAlgorithms(known(`box ${words(RSA)}`), [])).toEqual([]);
  });
});

const hasSsh = spawnSync("ssh", ["-V"]).error === undefined;

describe.skipIf(!hasSsh)("compared with ssh", () => {
  const HOST = "127.0.0.1";
  const pairs = [
    ssh2.utils.generateKeyPairSync("ed25519"),
    ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 }),
    ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 }),
  ];
  const keys = pairs.map((pair) => Buffer.from(pair.public.split(" ")[1] ?? "", "base64"));
  const [ed, ec, rs] = keys.map(words);
  const stranger = words(OTHER);
  const server = new ssh2.Server({ hostKeys: pairs.map((pair) => pair.private) }, (client) => {
    client.on("authentication", (context) => context.reject());
    client.on("error", () => {});
  });
  let port = 0;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));

  /** What the real client makes of the server's key: it is trusted if the client goes on to ask for a login. */
  async function askSsh(user: string, strict: string, alias: string | undefined): Promise<string> {
    const options = [
      ["UserKnownHostsFile", user],
      ["GlobalKnownHostsFile", "/dev/null"],
      ["StrictHostKeyChecking", strict],
      ["PreferredAuthentications", "none"],
      ["IdentityAgent", "none"],
      ["BatchMode", "yes"],
      ["ConnectTimeout", "20"],
      ...(alias === undefined ? [] : [["HostKeyAlias", alias]]),
    ].flatMap(([key, value]) => ["-o", `${key}=${value}`]);
    const said = await new Promise<string>((resolve) => {
      execFile("ssh", ["-F", "none", ...options, "-p", String(port), `nobody@${HOST}`, "true"], (_, __, stderr) => {
        resolve(stderr);
      });
    });
    if (said.includes("Permission denied")) return "trusted";
    if (said.includes("HOST IDENTIFICATION HAS CHANGED")) return "host-key-changed";
    if (said.includes("is marked as revoked") && !said.includes("host key is known")) return "host-key-revoked";
    return /No \S+ host key is known/.test(said) ? "host-key-unknown" : said;
  }

  /** What we make of the key that the server shows for our order of algorithms. */
  async function askUs(user: string, strict: "yes" | "accept-new", alias: string | undefined): Promise<string> {
    const host = { host: HOST, port, hostKeyAlias: alias, userKnownHostsFile: [user], globalKnownHostsFile: [] };
    const order = hostKeyAlgorithms(await readKnownHosts(host), SUPPORTED);
    const shown = { "ssh-ed25519": 0, "ecdsa-sha2-nistp256": 1, "rsa-sha2-512": 2, "rsa-sha2-256": 2, "ssh-rsa": 2 };
    const index = Object.entries(shown).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b))[0]?.[1] ?? 0;
    const key = keys[index] ?? KEY;
    return (await refusal(verifyHostKey({ ...host, key, strictHostKeyChecking: strict })))?.code ?? "trusted";
  }

  // HERE stands for [127.0.0.1]:port.
  test.each<[string, string, string?]>([
    ["nothing", ""],
    ["the key", `HERE ${ed}\n`],
    ["the key, without a line end", `HERE ${ed}`],
    ["the key, with a carriage return", `HERE ${ed}\r\n`],
    ["the key of a second type", `HERE ${ec}\n`],
    ["the key of a third type", `HERE ${rs}\n`],
    ["a stranger's key", `HERE ${stranger}\n`],
    ["a stranger's key and the key", `HERE ${stranger}\nHERE ${ed}\n`],
    ["a stranger's key and the key of another type", `HERE ${stranger}\nHERE ${rs}\n`],
    ["only a type the server lacks", `HERE ${words(ecdsa(384))}\n`],
    ["the bare name's key", `${HOST} ${ed}\n`],
    ["a stranger's key for the bare name", `${HOST} ${stranger}\n`],
    ["the bare name's key, and a stranger's", `${HOST} ${ed}\nHERE ${stranger}\n`],
    ["a wildcard with a hole", `*,!HERE ${ed}\n`],
    ["a wildcard", `* ${ed}\n`],
    ["a revoked key", `@revoked HERE ${ed}\n`],
    ["a revoked key that is known", `HERE ${ed}\n@revoked * ${ed}\n`],
    ["a revoked stranger", `@revoked HERE ${stranger}\nHERE ${ed}\n`],
    ["a marker that ends in a tab", `@revoked\tHERE ${ed}\nHERE ${ed}\n`],
    ["an authority", `@cert-authority HERE ${ed}\n`],
    ["a broken line", "HERE ssh-ed25519 AAAA\n"],
    ["the alias", `name ${ed}\n`, "NAME"],
    ["the alias with the port", `[name]:PORT ${ed}\nHERE ${ed}\n`, "name"],
  ])("we decide and record alike: %s", async (_, template, alias) => {
    const text = template.replaceAll("HERE", `[${HOST}]:${port}`).replaceAll("PORT", String(port));
    for (const strict of ["yes", "accept-new"] as const) {
      const [theirs, ours] = [file(text), file(text)];
      const expected = await askSsh(theirs, strict, alias);
      expect(expected).toMatch(/^(trusted|host-key-\w+)$/);
      expect(await askUs(ours, strict, alias)).toBe(expected);
      // We end a last line that has no end; OpenSSH of some versions lets the two run together.
      if (text.endsWith("\n") || text === "") expect(readFileSync(ours, "utf8")).toBe(readFileSync(theirs, "utf8"));
    }
  });

  test("we are stricter: a key that is revoked for the bare name is trusted by ssh", async () => {
    const text = `@revoked ${HOST} ${ed}\n`;
    expect(await askSsh(file(text), "accept-new", undefined)).toBe("trusted");
    expect(await askUs(file(text), "accept-new", undefined)).toBe("host-key-revoked");
  });
});
