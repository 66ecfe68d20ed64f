import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** A part of the tests that needs something of the machine. */
export interface Tier {
  name: string;
  /** What it proves. */
  what: string;
  /** Whether this machine has what it needs. */
  available: boolean;
  /** What to do to get it. */
  install: string;
}

/** The account that tests log in to besides our own, where they run as root: the name of an ordinary user. */
export const TEST_LOGIN = process.env.GO_PLUGIN_SSH_TEST_LOGIN ?? "";

/** Every tier, in the order of what it takes to have it. */
export const TIERS: readonly Tier[] = [
  { name: "unit", what: "pure functions, fakes", available: true, install: "" },
  { name: "embedded", what: "an SSH server in the test's own process", available: true, install: "" },
  {
    name: "shells",
    what: "the supervisor under dash, bash and busybox ash",
    available: ["dash", "bash", "busybox"].every(has),
    install: "apt-get install dash bash busybox",
  },
  {
    name: "shellcheck",
    what: "the shell programs, linted",
    available: has("shellcheck"),
    install: "apt-get install shellcheck",
  },
  {
    name: "openssh",
    what: "a throw-away sshd and its client",
    available: has("sshd") && has("ssh-keygen") && has("ssh"),
    install: "apt-get install openssh-server openssh-client",
  },
  {
    name: "login",
    what: "sshd as root, an ordinary account logs in",
    available: has("sshd") && process.getuid?.() === 0 && hasAccount(TEST_LOGIN),
    install: "run as root with GO_PLUGIN_SSH_TEST_LOGIN naming an ordinary account",
  },
  {
    name: "container",
    what: "OpenSSH and dropbear of two Debians, in containers",
    get available() {
      return engineAnswers();
    },
    install: "on Linux, start a Docker engine for this account (`apt-get install docker.io`)",
  },
  {
    name: "go",
    what: "plugins built with HashiCorp's go-plugin",
    available: has("go"),
    install: "install Go 1.24 or later (https://go.dev/dl)",
  },
];

/** Whether this machine has what the named tier needs. */
export function hasTier(name: string): boolean {
  const tier = TIERS.find((one) => one.name === name);
  if (!tier) throw new TypeError(`There is no tier ${name}.`);
  return tier.available;
}

/** The tiers that REQUIRE_TIERS names; `all` stands for every one, and `-name` takes one out again. */
export function requiredTiers(): string[] {
  const words = (process.env.REQUIRE_TIERS ?? "").split(",").filter((word) => word !== "");
  const names = words.filter((word) => !word.startsWith("-"));
  const all = names.includes("all") ? TIERS.map(({ name }) => name) : names;
  return all.filter((name) => !words.includes(`-${name}`));
}

/** Where a program is; daemons are not in everybody's PATH. */
export function has(program: string): boolean {
  const directories = [
    ...(process.env.GO_PLUGIN_SSH_TEST_PATH ?? process.env.PATH ?? "").split(":"),
    ...(program === "sshd" ? ["/usr/sbin", "/usr/local/sbin"] : []),
  ];
  return directories.some((directory) => directory !== "" && existsSync(join(directory, program)));
}

let answered: boolean | undefined;

/** Whether a Docker engine answers on this machine. It is asked once, and only by those who need it. */
function engineAnswers(): boolean {
  answered ??= process.platform === "linux" && has("docker") && succeeds("docker", "version");
  return answered;
}

function hasAccount(name: string): boolean {
  return name !== "" && succeeds("id", name);
}

function succeeds(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}
