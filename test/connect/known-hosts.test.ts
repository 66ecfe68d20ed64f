import { execFileSync, spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { decodeHostKey, fingerprint, hostKeyType, readHostKey } from "../../src/connect/host-key.ts";
import { matchesPatterns } from "../../src/connect/host-pattern.ts";
import { findHost, readKnownHosts } from "../../src/connect/known-hosts.ts";
import { defaultKnownHostsFiles } from "../../src/connect/known-hosts-files.ts";
import { knownHostsName } from "../../src/connect/known-hosts-name.ts";
import fc from "../tools/property.ts";
import { blob, ecdsa, ed25519, rsa, words } from "./host-key-blobs.ts";

const directory = mkdtempSync(join(tmpdir(), "known-hosts-"));
afterAll(() => rmSync(directory, { recursive: true }));

const KEY = ed25519();
const OTHER = ed25519();
const SK = blob("sk-ssh-ed25519@openssh.com", Buffer.alloc(32, 7), Buffer.from("ssh:"));
const hashed = (name: string, salt = Buffer.alloc(20, 5)) =>
  `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;

/** `line:marker` of each key that is found for `name`. */
function lines(text: string, name = "box"): string[] {
  return findHost(text, "file", name).keys.map(({ line, marker }) => `${line}:${marker}`);
}

describe("patterns", () => {
  test.each([
    ["box", "box", true],
    ["box", "other", false],
    ["box", "other,box", true],
    ["box", "BOX", true],
    ["BOX", "box", true],
    ["box", "b?x", true],
    ["box", "bo?x", false],
    ["box", "b*", true],
    ["box", "*", true],
    ["box", "*box", true],
    ["box", "b*ox", true],
    ["box", "**?**", true],
    ["box", "box*", true],
    ["box", "box?", false],
    ["b*x", "b?x", true],
    ["a.b.example.com", "*.example.com", true],
    ["a.b.example.com", "*.b.*.com", true],
    ["aab", "*ab", true],
    ["aabaa", "*ab", false],
    ["box", "!box,*", false],
    ["box", "*,!box", false],
    ["box", "!other,*", true],
    ["box", "!other", false],
    ["box", "!!box,*", true],
    ["box", ",,", false],
    ["box", "", false],
    ["[box]:2222", "[box]:2222", true],
    ["[box]:2222", "[b*]:*", true],
    ["[box]:2222", "box", false],
    ["[box]:2222", "*", true],
    ["[::1]:22", "[::1]:22", true],
    ["\u212aey", "key", false],
    ["box", `${"x".repeat(1022)},box`, true],
    ["box", `${"x".repeat(1023)},box`, false],
  ])("%s is meant by %s: %s", (name, patterns, meant) => {
    expect(matchesPatterns(name, patterns)).toBe(meant);
  });

  test("a pattern full of stars is decided at once", () => {
    expect(matchesPatterns("a".repeat(5000), `${"*a".repeat(400)}b`)).toBe(false);
  });
});

describe("the looked-up name", () => {
  test.each([
    [{ host: "Box.Example", port: 22 }, "box.example"],
    [{ host: "Box", port: 2222 }, "[box]:2222"],
    [{ host: "::1", port: 22 }, "::1"],
    [{ host: "fe80::1%eth0", port: 2222 }, "[fe80::1%eth0]:2222"],
    [{ host: "box", port: 2222, hostKeyAlias: "Alias" }, "alias"],
  ])("%o is %s", (host, name) => {
    expect(knownHostsName(host)).toBe(name);
  });

  test.each(["", "a b", "a\nb", "a,b", "*", "b?x", "!a", "#a", "@revoked", "|1|a|b", "-a", "a\u0000"])(
    "%j is refused",
    (host) => {
      expect(() => knownHostsName({ host, port: 22 })).toThrow(expect.objectContaining({ code: "bad-options" }));
      expect(() => knownHostsName({ host: "box", port: 22, hostKeyAlias: host })).toThrow("hostKeyAlias");
    },
  );
});

describe("lines", () => {
  const entry = `box ${words(KEY)}`;

  test("comments, blank lines and other hosts say nothing, and lines are counted from 1", () => {
    expect(lines(`# a comment\n\n \t\n  # another\nother ${words(KEY)}\n \t${entry} a comment\n`)).toEqual(["6:none"]);
  });

  test("several keys for one host are all found, in order", () => {
    const { keys, skipped } = findHost(`${entry}\nbox ${words(OTHER)}\n*\t \t${words(KEY)}`, "f", "box");
    expect(keys.map(({ line }) => line)).toEqual([1, 2, 3]);
    expect(keys[1]).toEqual({ file: "f", line: 2, marker: "none", type: "ssh-ed25519", key: OTHER });
    expect(skipped).toEqual([]);
  });

  test("a hashed name is found, and another is not", () => {
    expect(lines(`${hashed("other")} ${words(KEY)}\n${hashed("box")} ${words(KEY)}`)).toEqual(["2:none"]);
    expect(lines(`${hashed("[box]:22")} ${words(KEY)}`, "[box]:22")).toEqual(["1:none"]);
  });

  test("a line may end in a carriage return", () => {
    expect(lines(`${entry}\r\n\r\n${entry} comment\r\n`)).toEqual(["1:none", "3:none"]);
  });

  test("a line ends at a NUL", () => {
    expect(lines(`${entry}\0junk\nother\0,box ${words(KEY)}`)).toEqual(["1:none"]);
  });

  test("markers are told apart", () => {
    expect(lines(`@revoked ${entry}\n@cert-authority \t${entry}\n${entry}`)).toEqual([
      "1:revoked",
      "2:cert-authority",
      "3:none",
    ]);
  });

  test("a tab ends a marker only in a line without a space", () => {
    expect(lines(`@revoked\t${entry}\n@revoked\t${entry.replaceAll(" ", "\t")}`)).toEqual(["2:revoked"]);
  });

  test.each([
    ["an unknown marker", `@unknown ${entry}`],
    ["an unknown marker", `@constructor ${entry}`],
    ["an unknown marker", `@Revoked ${entry}`],
    ["an unknown marker", `@revoked @revoked ${entry}`],
    ["an unknown marker", `@${"x".repeat(40)} ${entry}`],
    ["an unknown marker", "@revoked"],
    ["a hashed host name that cannot be read", `|1|bad|${words(KEY)}`],
    ["a hashed host name that cannot be read", `${hashed("box", Buffer.alloc(19))} ${words(KEY)}`],
    ["a hashed host name that cannot be read", `|2${hashed("box").slice(2)} ${words(KEY)}`],
    ["a hashed host name that cannot be read", `| ${words(KEY)}`],
    ["no key", "box"],
    ["no key", "box # ssh-ed25519"],
    ["a key that cannot be read", "box ssh-ed25519"],
    ["a key that cannot be read", `box ${KEY.toString("base64")}`],
    ["a key that cannot be read", `${entry.slice(0, -4)}`],
    ["a key that cannot be read", `${entry}!`],
    ["a key that cannot be read", `box ssh-rsa ${KEY.toString("base64")}`],
    ["a key that cannot be read", `box constructor ${blob("constructor").toString("base64")}`],
  ])("a line with %s is passed over and remembered: %s", (why, line) => {
    expect(findHost(`${line}\n${entry}`, "file", "box")).toMatchObject({
      keys: [{ line: 2 }],
      skipped: [{ file: "file", line: 1, why }],
    });
  });

  test("a broken key of another host is none of our business", () => {
    expect(findHost("other ssh-ed25519 AAAA", "file", "box")).toEqual({ keys: [], skipped: [] });
  });
});

describe("keys", () => {
  const dss = blob("ssh-dss", ...[1, 2, 3, 4].map((byte) => Buffer.from([byte])));
  const curve = ecdsa();
  const offCurve = Buffer.from(curve);
  offCurve[offCurve.length - 5] = (offCurve[offCurve.length - 5] ?? 0) ^ 1;

  test.each([
    ["ssh-ed25519", KEY],
    ["ecdsa-sha2-nistp256", curve],
    ["ecdsa-sha2-nistp384", ecdsa(384)],
    ["ecdsa-sha2-nistp521", ecdsa(521)],
    ["ssh-rsa", rsa(1024)],
    ["ssh-dss", dss],
    ["sk-ssh-ed25519@openssh.com", SK],
    [
      "sk-ecdsa-sha2-nistp256@openssh.com",
      blob("sk-ecdsa-sha2-nistp256@openssh.com", curve.subarray(27, 35), curve.subarray(39), Buffer.from("ssh:")),
    ],
  ])("a key of type %s is read", (type, key) => {
    expect(readHostKey(key)).toEqual(key);
    expect(hostKeyType(key)).toBe(type);
    expect(decodeHostKey(type, key.toString("base64"))).toEqual(key);
  });

  test("an RSA key may be filed under the name of a signature", () => {
    const key = rsa(1024);
    expect(decodeHostKey("rsa-sha2-512", key.toString("base64"))).toEqual(key);
    expect(decodeHostKey("rsa-sha2-256", key.toString("base64"))).toEqual(key);
    expect(decodeHostKey("rsa-sha2-1", key.toString("base64"))).toBeUndefined();
  });

  test("numbers may come with zeros in front", () => {
    const [exponent, modulus] = [Buffer.from([1, 0, 1]), Buffer.alloc(128, 0xff)];
    const zeros = Buffer.alloc(3);
    const proper = blob("ssh-rsa", exponent, Buffer.concat([zeros.subarray(0, 1), modulus]));
    const padded = blob("ssh-rsa", Buffer.concat([zeros, exponent]), Buffer.concat([zeros, modulus]));
    expect(readHostKey(padded)).toEqual(proper);
    expect(decodeHostKey("ssh-rsa", padded.toString("base64"))).toEqual(proper);
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a length without its text", Buffer.from([0, 0, 0, 9])],
    ["a part too many", Buffer.concat([KEY, Buffer.alloc(4)])],
    ["a byte too many", Buffer.concat([KEY, Buffer.alloc(1)])],
    ["a short ed25519 point", blob("ssh-ed25519", Buffer.alloc(31))],
    ["an ECDSA point off its curve", offCurve],
    ["an ECDSA key of another curve", blob("ecdsa-sha2-nistp384", curve.subarray(27, 35), curve.subarray(39))],
    [
      "an RSA key of 1023 bits",
      blob("ssh-rsa", Buffer.from([3]), Buffer.concat([Buffer.from([0x7f]), Buffer.alloc(127)])),
    ],
    ["a negative RSA key", blob("ssh-rsa", Buffer.from([3]), Buffer.alloc(256, 0x80))],
    ["a negative DSA key", blob("ssh-dss", ...[0x80, 1, 2, 3].map((byte) => Buffer.from([byte])))],
    ["an RSA key of zeros", blob("ssh-rsa", Buffer.from([3]), Buffer.alloc(256))],
    ["an unknown type", blob("ssh-new")],
  ])("%s is no key", (_, key) => {
    expect(() => readHostKey(key)).toThrow(expect.objectContaining({ code: "connect-failed" }));
  });
});

describe("files", () => {
  const path = (name: string) => join(directory, name);
  const query = (...userKnownHostsFile: string[]) => ({
    host: "Box",
    port: 2222,
    userKnownHostsFile,
    globalKnownHostsFile: [path("global")],
  });

  test("are read in order, with and without the port; missing ones are fine", async () => {
    writeFileSync(
      path("user"),
      `box ${words(OTHER)}\n[box]:2222 ${words(KEY)}\nbox,[box]:2222 ssh-rsa AAAA\nbox bad\n`,
    );
    writeFileSync(path("global"), `[box]:* ${words(OTHER)}`);
    const known = await readKnownHosts(query(path("missing"), path("user")));
    expect(known.name).toBe("[box]:2222");
    expect(known.keys.map(({ file, line }) => [file, line])).toEqual([
      [path("user"), 2],
      [path("global"), 1],
    ]);
    expect(known.keysWithoutPort).toMatchObject([{ line: 1, key: OTHER }]);
    expect(known.skipped.map(({ line }) => line)).toEqual([3, 4]);
    expect(known.unreadable).toEqual([]);
  });

  test("an alias is looked up without any port", async () => {
    writeFileSync(path("alias"), `[box]:2222,box ${words(KEY)}\nname ${words(OTHER)}\n`);
    const known = await readKnownHosts({ ...query(path("alias")), hostKeyAlias: "Name" });
    expect(known).toMatchObject({ name: "name", keys: [{ line: 2 }], keysWithoutPort: [] });
  });

  test("those that cannot be read are remembered", async () => {
    mkdirSync(path("folder"));
    writeFileSync(path("secret"), "");
    chmodSync(path("secret"), 0);
    const known = await readKnownHosts(query(path("folder"), path("secret")));
    expect(known.unreadable[0]).toEqual({ file: path("folder"), why: "EISDIR" });
    if (process.getuid?.() !== 0) expect(known.unreadable[1]).toEqual({ file: path("secret"), why: "EACCES" });
  });

  test("a signal that has fired ends the reading", async () => {
    await expect(readKnownHosts(query(path("user")), AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });

  test("the default ones are OpenSSH's", () => {
    expect(defaultKnownHostsFiles()).toEqual({
      userKnownHostsFile: [join(homedir(), ".ssh/known_hosts"), join(homedir(), ".ssh/known_hosts2")],
      globalKnownHostsFile: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
    });
  });
});

const hasKeygen = spawnSync("ssh-keygen", ["-?"]).error === undefined;

describe.skipIf(!hasKeygen)("compared with ssh-keygen", () => {
  const NAMES = ["box", "[box]:2222", "::1"];
  const rsaKey = rsa(1024);
  const KEYS = [KEY, OTHER, ecdsa(), ecdsa(384), ecdsa(521), rsaKey];
  const keyWords = fc.constantFrom(...KEYS.map(words), `rsa-sha2-256 ${rsaKey.toString("base64")}`);

  const pattern = fc.oneof(
    fc.constantFrom(...NAMES),
    fc.constantFrom(
      "*",
      "b*",
      "*.example.com",
      "b?x",
      "[*]:2222",
      "[b*]:*",
      "10.0.0.?",
      "BOX",
      "?".repeat(3),
      "",
      "**x",
    ),
  );
  const patterns = fc
    .array(
      fc.tuple(fc.constantFrom("", "", "", "!"), pattern).map(([not, text]) => not + text),
      { minLength: 1, maxLength: 3 },
    )
    .map((list) => list.join(","));
  const hashedName = fc
    .tuple(fc.constantFrom(...NAMES), fc.uint8Array({ minLength: 20, maxLength: 20 }))
    .map(([name, salt]) => hashed(name, Buffer.from(salt)));
  const blank = fc.constantFrom(" ", " ", " ", "\t", "  ", " \t");
  const marker = fc.constantFrom("", "", "", "", "@revoked", "@cert-authority", "@nonsense", "@revoked @revoked");
  const ending = fc.constantFrom("", "", "", "\r", " a comment", "\t# comment", "=", "AAAA");

  const entry = fc
    .tuple(marker, blank, fc.oneof(patterns, hashedName), blank, keyWords, blank, ending)
    .map(([mark, one, hosts, two, key, three, end]) => {
      return (mark && mark + one) + hosts + two + key.replace(" ", three) + end;
    });
  const cut = fc.tuple(entry, fc.double({ min: 0, max: 1, noNaN: true })).map(([line, part]) => {
    return `${line.slice(0, Math.floor(line.length * part))} `;
  });
  const changed = fc
    .tuple(entry, fc.nat(), fc.constantFrom("A", "|", "@", " ", "#", "\t", "!", "="))
    .map(([line, at, by]) => {
      return line.slice(0, at % line.length) + by + line.slice((at % line.length) + 1);
    });
  const line = fc.oneof(
    { weight: 8, arbitrary: entry },
    { weight: 1, arbitrary: fc.constantFrom("", "# box ssh-rsa AAAA", "  ", "box ", "|1|", "@", "@revoked ") },
    { weight: 1, arbitrary: cut },
    { weight: 2, arbitrary: changed },
  );

  test("the same lines and the same keys are found in 400 generated files", { timeout: 300_000 }, () => {
    const file = join(directory, "generated");
    let found = 0;
    fc.assert(
      fc.property(fc.array(line, { maxLength: 16, size: "max" }), fc.constantFrom(...NAMES), (content, name) => {
        const text = content.map((one) => `${one}\n`).join("");
        writeFileSync(file, text);
        const ours = findHost(text, file, name).keys.map((key) => `${key.line} ${key.marker} ${fingerprint(key.key)}`);
        expect(ours).toEqual(askKeygen(file, name));
        found += ours.length;
      }),
      { seed: 20_240_601, numRuns: 400 },
    );
    expect(found).toBeGreaterThan(400);
  });

  /** What `ssh-keygen` finds, one `line marker fingerprint` for each key. */
  function askKeygen(file: string, name: string): string[] {
    const { stdout, stderr, error } = spawnSync("ssh-keygen", ["-l", "-F", name, "-f", file], { encoding: "utf8" });
    if (error) throw error;
    // Without a match it says nothing and fails; any complaint would be a fault of this test.
    expect(stderr.replaceAll(/^.*(invalid marker|is not a).*\n/gm, "")).toBe("");
    const markers: Record<string, string> = { "": "none", CA: "cert-authority", REVOKED: "revoked" };
    const entries = stdout.matchAll(/^# Host .* found: line (\d+) (\S*)\n.* (SHA256:\S+).*$/gm);
    return [...entries].map(([, number, mark = "", print]) => `${number} ${markers[mark]} ${print}`);
  }

  test("names that it has hashed are found", () => {
    const file = join(directory, "to-hash");
    writeFileSync(file, `box,[box]:2222 ${words(KEY)}\nother ${words(OTHER)}\n`);
    execFileSync("ssh-keygen", ["-H", "-f", file], { stdio: "ignore" });
    const text = execFileSync("cat", [file], { encoding: "utf8" });
    expect(text).not.toContain("box");
    expect(findHost(text, file, "box").keys).toMatchObject([{ key: KEY }]);
    expect(findHost(text, file, "[box]:2222").keys).toMatchObject([{ key: KEY }]);
    expect(findHost(text, file, "other").keys).toMatchObject([{ key: OTHER }]);
  });
});
