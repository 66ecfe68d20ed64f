import { createHmac } from "node:crypto";
import type { Random } from "../tools/random.ts";

/** One question to both clients: what do these files say about this host? */
export interface KnownHostsCase {
  readonly host: string;
  readonly port: number;
  readonly hostKeyAlias: string | undefined;
  /** The text of each file. */
  readonly userFiles: readonly string[];
  readonly globalFiles: readonly string[];
  /** As in ssh_config; `undefined`: the default. */
  readonly hostKeyAlgorithms: string | undefined;
}

/** Keys, the two words of a line each. */
export interface Keys {
  readonly server: readonly string[];
  readonly strangers: readonly string[];
}

const HOSTS = ["box-7.example.org", "Box.Example", "box", "10.1.2.3", "db_1", "2001:db8::7", "xn--bx-fka.example"];
const OTHERS = ["other", "box-8.example.org", "10.1.2.4", "[box]:2223", "*.example.com"];
const PORTS = [22, 22, 2222, 2222, 60_022];
const ALIASES = ["vault", "Vault-2", "box"];
const ALGORITHMS = [
  undefined,
  undefined,
  undefined,
  "ssh-ed25519",
  "ssh-ed25519",
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "rsa-sha2-512",
  "rsa-sha2-256",
  "rsa-sha2-256,ssh-ed25519",
  "ecdsa*,ssh-ed25519",
  "-ssh-ed25519",
  "^rsa-sha2-512",
  "+ssh-rsa",
];

/** A case that nobody thought of. */
export function makeCase(random: Random, keys: Keys): KnownHostsCase {
  const host = random.pick(HOSTS);
  const port = random.pick(PORTS);
  const hostKeyAlias = random.below(6) === 0 ? random.pick(ALIASES) : undefined;
  const names = namesOf(host, port, hostKeyAlias);
  const file = () => makeFile(random, names, keys);
  return {
    host,
    port,
    hostKeyAlias,
    userFiles: random.times(1 + random.below(2), file),
    globalFiles: random.times(random.below(2), file),
    hostKeyAlgorithms: random.pick(ALGORITHMS),
  };
}

/** The name that is looked up, first, and others that are not, or only if there is no other. */
function namesOf(host: string, port: number, alias: string | undefined): [string, ...string[]] {
  const named = port === 22 ? host : `[${host}]:${port}`;
  return alias === undefined ? [named, host, `[${host}]:22`] : [alias, named, host, `[${alias}]:${port}`];
}

function makeFile(random: Random, names: readonly [string, ...string[]], keys: Keys): string {
  const lines = random.times(random.below(5), () => makeLine(random, names, keys));
  const end = random.below(8) === 0 ? "\r\n" : "\n";
  return lines.join(end) + (random.below(6) === 0 ? "" : end);
}

function makeLine(random: Random, names: readonly [string, ...string[]], keys: Keys): string {
  const kind = random.below(20);
  if (kind === 0) return random.pick(["", "# a comment", "  \t ", "#", `# ${names[0]} ${keys.server[0]}`]);
  const marker = random.pick([
    ...Array<string>(8).fill(""),
    "@revoked ",
    "@revoked ",
    "@revoked ",
    "@revoked ",
    "@cert-authority ",
    "@revoked\t",
  ]);
  const odd = random.below(40) === 0 ? random.pick(["@unknown ", "@revoked @cert-authority ", "@revoked"]) : marker;
  const key = random.below(5) < 3 ? random.pick(keys.server) : random.pick(keys.strangers);
  const blank = random.below(8) === 0 ? random.pick(["\t", "  ", " \t "]) : " ";
  const before = random.below(12) === 0 ? random.pick([" ", "\t", "   "]) : "";
  const after = random.below(8) === 0 ? random.pick([" a comment", " ", "\t# x", " more words here"]) : "";
  const hosts = makeHosts(random, names);
  const words = kind === 1 ? broken(random, key, keys) : key.replace(" ", blank);
  return `${before}${odd}${hosts}${blank}${words}${after}`;
}

/** The first word of a line. */
function makeHosts(random: Random, names: readonly [string, ...string[]]): string {
  const name = random.below(3) < 2 ? names[0] : random.pick(names);
  const other = random.pick(OTHERS);
  const makers: (() => string)[] = [
    () => name,
    () => name,
    () => name,
    () => changeCase(name),
    () => `${other},${name}`,
    () => `${name},${other}`,
    () => other,
    () => hashed(random, name.toLowerCase()),
    () => hashed(random, name.toLowerCase()),
    () => hashed(random, name),
    () => hashed(random, other),
    () => hashed(random, name.toLowerCase()).slice(0, -2),
    () => wildcard(random, name),
    () => wildcard(random, name),
    () => "*",
    () => `*,!${name}`,
    () => `!${other},*`,
    () => `!${wildcard(random, name)},${name}`,
    () => `${name},!${name}`,
    () => `!${name}`,
    () => `${name},`,
    () => `,${name}`,
    () => `${"x".repeat(random.pick([1022, 1023, 1030, 70_000]))},${name}`,
    () => `${name},${"y".repeat(1100)}`,
    () => Array.from({ length: 300 }, (_, index) => `host-${index}`).join(",") + (random.below(2) ? `,${name}` : ""),
    () => `${name}*`,
    () => `${name}?`,
    () => name.replace(/[[\]]/g, ""),
  ];
  return random.pick(makers)();
}

/** Some characters of `name` as `?` or `*`. */
function wildcard(random: Random, name: string): string {
  const at = random.below(name.length);
  const length = 1 + random.below(name.length - at);
  const stead = random.pick(["*", "?", "?".repeat(length), "**", "*?"]);
  return name.slice(0, at) + stead + name.slice(at + length);
}

function changeCase(name: string): string {
  return name === name.toLowerCase() ? name.toUpperCase() : name.toLowerCase();
}

function hashed(random: Random, name: string): string {
  const salt = random.bytes(20);
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}

/** A key that is none, or another than it says. */
function broken(random: Random, key: string, keys: Keys): string {
  const [type = "", base64 = ""] = key.split(" ");
  const makers: (() => string)[] = [
    () => type,
    () => base64,
    () => `${type} ${base64.slice(0, -random.pick([1, 3, 4, 8]))}`,
    () => `${type} AAAA`,
    () => `${type} ${base64}AAAA`,
    () => `${type} !${base64}`,
    () => `ssh-unknown ${base64}`,
    () => `${random.pick(keys.server).split(" ")[0]} ${base64}`,
    () => `rsa-sha2-512 ${base64}`,
    () => `2048 65537 ${"9".repeat(300)}`,
    () => `#${type} ${base64}`,
  ];
  return random.pick(makers)();
}
