import type { Random } from "../../tools/random.ts";

/** A configuration in several files, the first of which is to be read. */
export interface GeneratedConfig {
  /** Texts by the names of their files. */
  files: Map<string, string>;
  main: string;
}

/** Names that are asked for; patterns cover some of them. */
export const ALIASES = ["web1", "web2.example.com", "db", "db.internal", "bastion", "10.0.0.7", "WEB1"];
const PATTERNS = [
  "*",
  "web*",
  "web?",
  "*.example.com",
  "db",
  "db*",
  "!db",
  "!web1",
  "bastion",
  "10.0.0.?",
  "*.*",
  "x*",
];

type Make = (random: Random) => string;

const oneOf =
  (...values: string[]): Make =>
  (random) =>
    random.pick(values);

/** A value for each keyword that the small reader reads. */
export const SMALL: Readonly<Record<string, Make>> = {
  HostName: oneOf(
    "%h.example.net",
    "10.1.2.3",
    "box.example.org",
    "%h",
    '"quoted.example"',
    "fe80::1%%eth0",
    "2001:db8::7",
  ),
  Port: oneOf("22", "2222", "65535", '"2200"'),
  User: oneOf("deploy", '"ann"', "bob", "CORP\\\\ann", "'eve'"),
  IdentityFile: oneOf(
    "~/.ssh/id_a",
    "~/.ssh/%r@%h",
    "/keys/%n-%p",
    '"/keys/with blank"',
    "none",
    "/keys/%d%%x",
    "/k/\\ b",
  ),
  ProxyJump: oneOf("bastion", "ann@bastion:2222", "a,b@c:22,ssh://d@e:2022", "none", "10.0.0.1:22", "[2001:db8::1]:22"),
};

const SWITCH = oneOf("yes", "no");
const SECONDS = oneOf("0", "1", "45", "2m", "1h30m");

/** A value for each keyword that is honoured. */
export const ALL: Readonly<Record<string, Make>> = {
  ...SMALL,
  HostKeyAlias: oneOf("vault", '"the-vault"'),
  AddressFamily: oneOf("any", "inet", "inet6"),
  BindAddress: oneOf("127.0.0.1", "::1"),
  ConnectTimeout: SECONDS,
  ConnectionAttempts: oneOf("1", "3"),
  IdentityFile: oneOf(
    "~/.ssh/id_a",
    "~/.ssh/%r@%h",
    "/keys/%n-%p-%k",
    '"/keys/with blank"',
    "none",
    "$" + "{GPS_TEST_KEYS}/x",
  ),
  IdentitiesOnly: SWITCH,
  IdentityAgent: oneOf(
    "none",
    "SSH_AUTH_SOCK",
    "$GPS_TEST_AGENT",
    "~/agent-%h.sock",
    '"/run/an agent"',
    "$GPS_TEST_NOTHING",
  ),
  AddKeysToAgent: oneOf("yes", "no", "confirm"),
  UserKnownHostsFile: oneOf("~/.ssh/kh", "~/.ssh/kh-%k /etc/kh2", '"/a b/kh" ~/kh', "none"),
  GlobalKnownHostsFile: oneOf("/etc/kh", "/etc/kh /etc/kh2", "none"),
  StrictHostKeyChecking: oneOf("yes", "ask", "accept-new", "no", "off"),
  HashKnownHosts: SWITCH,
  ProxyCommand: oneOf("none", "nc %h %p", "ssh -W '[%h]:%p' \"a b\" # not a comment", "exec /bin/x %r %n %%"),
  ServerAliveInterval: SECONDS,
  ServerAliveCountMax: oneOf("1", "7"),
  TCPKeepAlive: SWITCH,
  Compression: SWITCH,
  Ciphers: oneOf("aes128-ctr", "+aes128-cbc", "-aes*", "^aes256-ctr", "aes256-gcm@openssh.com,aes128-ctr"),
  KexAlgorithms: oneOf("curve25519-sha256", "-diffie*", "^ecdh-sha2-nistp521", "+diffie-hellman-group14-sha1"),
  MACs: oneOf("hmac-sha2-256", "-*etm*", "^hmac-sha2-512", "+hmac-md5"),
  HostKeyAlgorithms: oneOf(
    "ssh-ed25519",
    "+ssh-rsa",
    "-*cert*",
    "^rsa-sha2-256",
    "rsa-sha2-512,ssh-ed25519",
    "-ssh-ed25519",
  ),
  PubkeyAcceptedAlgorithms: oneOf("ssh-ed25519", "+ssh-rsa", "-rsa*", "^rsa-sha2-256"),
  PreferredAuthentications: oneOf("publickey", "password,publickey", "keyboard-interactive"),
  BatchMode: SWITCH,
  NumberOfPasswordPrompts: oneOf("1", "5"),
};

/** Makes a configuration of blocks, with includes among them, and with `Match` blocks unless told otherwise. */
export function generateConfig(
  random: Random,
  directory: string,
  values: Readonly<Record<string, Make>>,
  { matches }: { matches: boolean } = { matches: true },
): GeneratedConfig {
  const files = new Map<string, string>();
  const make = (name: string, depth: number): string => {
    const lines: string[] = depth === 0 ? ["# generated", ""] : [];
    const blocks = 1 + random.below(4);
    for (let block = 0; block < blocks; block += 1) {
      if (block > 0 || random.below(2) === 0) lines.push(heading(random, matches));
      for (let left = random.below(7); left > 0; left -= 1) lines.push(setting(random, values));
      if (depth < 2 && random.below(4) === 0) {
        const inner = `${name}.${block}`;
        files.set(inner, make(inner, depth + 1));
        lines.push(include(random, directory, inner));
      }
    }
    return `${lines.join(random.below(8) === 0 ? "\r\n" : "\n")}\n`;
  };
  files.set("main", make("main", 0));
  return { files, main: "main" };
}

function heading(random: Random, matches: boolean): string {
  if (!matches || random.below(3) > 0) {
    return `Host ${random.times(1 + random.below(3), () => random.pick(PATTERNS)).join(" ")}`;
  }
  return `Match ${random.pick([
    "all",
    "final all",
    "host *.example.net,10.*",
    "host db*",
    "!host db*",
    "user deploy",
    "originalhost web*",
    "originalhost web*,!web1 user bob",
    "exec true",
    'exec "test %n = db"',
    "localuser nobody",
  ])}`;
}

function setting(random: Random, values: Readonly<Record<string, Make>>): string {
  const keyword = random.pick(Object.keys(values));
  const written = random.pick([keyword, keyword.toLowerCase(), keyword.toUpperCase()]);
  const value = (values[keyword] as Make)(random);
  const [before, between] = [random.pick(["", "  ", "\t"]), random.pick([" ", "\t", "=", " = ", "  "])];
  // What follows a jump or a command is part of it.
  const after = keyword.startsWith("Proxy") ? ["", " "] : ["", "", " ", " # why", "\t#"];
  return `${before}${written}${between}${value}${random.pick(after)}`;
}

function include(random: Random, directory: string, name: string): string {
  const path = `${directory}/${name}`;
  return `Include ${random.pick([path, `"${path}"`, `${path}*[!x]`, `${directory}/none* ${path}`, path.replace(/.$/, "?")])}`;
}
