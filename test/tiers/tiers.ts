import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findNssWrapper } from "../servers/account.ts";
import { hasAsyncSsh } from "../servers/asyncssh.ts";
import { builtDropbear, installedDropbear } from "../servers/dropbear.ts";
import { findPython } from "../tools/python.ts";

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

/** Where crowdsec is: installed, or unpacked by `.ci/run`. */
const CROWDSEC_ROOT = ["/", fileURLToPath(new URL("../../.cache/crowdsec/", import.meta.url))].find((root) => {
  return ["usr/bin/crowdsec", "usr/bin/cscli", "usr/lib/crowdsec/plugins/dummy"].every((name) =>
    existsSync(join(root, name)),
  );
});

/** A host and a plugin that others wrote and built. */
export const CROWDSEC =
  CROWDSEC_ROOT === undefined
    ? undefined
    : {
        program: join(CROWDSEC_ROOT, "usr/bin/crowdsec"),
        tool: join(CROWDSEC_ROOT, "usr/bin/cscli"),
        plugin: join(CROWDSEC_ROOT, "usr/lib/crowdsec/plugins/dummy"),
        shared: join(CROWDSEC_ROOT, "usr/share/crowdsec"),
        configuration: join(CROWDSEC_ROOT, "etc/crowdsec"),
      };

/** The library of a PKCS#11 token that is a program. */
export const SOFTHSM = ["/usr/lib/softhsm", "/usr/local/lib/softhsm", "/usr/lib64/softhsm", "/usr/lib64/pkcs11"]
  .map((directory) => join(directory, "libsofthsm2.so"))
  .find((path) => existsSync(path));

/** Terraform, or OpenTofu in its place: installed, or built by `test/hosts/build-tofu.sh`. */
export const TERRAFORM =
  ["terraform", "tofu"].find(has) ??
  [fileURLToPath(new URL("../../.cache/tofu/tofu", import.meta.url))].find((path) => existsSync(path));

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
    name: "tokens",
    what: "keys in tokens that are programs: PKCS#11 and FIDO",
    available:
      ["sshd", "pkcs11-tool", "softhsm2-util", "cc"].every(has) &&
      SOFTHSM !== undefined &&
      existsSync("/usr/include/openssl/evp.h"),
    install: "apt-get install openssh-server softhsm2 opensc gcc libc6-dev libssl-dev",
  },
  {
    name: "relays",
    what: "what a box may have to relay with",
    available: ["python3", "perl", "socat", "ncat"].every(has),
    install: "apt-get install python3 perl socat ncat",
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
  {
    name: "python",
    what: "a plugin in Python, with grpcio",
    available: findPython() !== undefined,
    install: "apt-get install python3-grpcio, or name a Python that has grpcio in GO_PLUGIN_SSH_TEST_PYTHON",
  },
  {
    name: "accounts",
    what: "accounts with other homes and login shells, shown to a throw-away sshd",
    available: has("sshd") && findNssWrapper() !== undefined,
    install: "apt-get install openssh-server libnss-wrapper",
  },
  {
    name: "login-shells",
    what: "accounts with dash, bash, zsh, fish and tcsh",
    available: has("sshd") && findNssWrapper() !== undefined && ["dash", "bash", "zsh", "fish", "tcsh"].every(has),
    install: "apt-get install openssh-server libnss-wrapper dash bash zsh fish tcsh",
  },
  {
    name: "mounts",
    what: "boxes with a full, read-only or noexec /tmp, and without /proc",
    available: process.getuid?.() === 0 && canMount(),
    install: "run as root where mounts are allowed (CAP_SYS_ADMIN)",
  },
  {
    name: "dropbear",
    what: "a throw-away dropbear, as the distribution has it",
    available: installedDropbear() !== undefined,
    install: "apt-get install dropbear-bin libnss-wrapper",
  },
  {
    name: "dropbear-built",
    what: "a throw-away dropbear 2025.89",
    available: builtDropbear() !== undefined,
    install: "apt-get install libnss-wrapper, then run test/servers/build-dropbear.sh",
  },
  {
    name: "asyncssh",
    what: "a server made with Python's asyncssh",
    available: hasAsyncSsh(),
    install: "apt-get install python3-asyncssh",
  },
  {
    name: "go-ssh",
    what: "a server made with Go's x/crypto/ssh",
    available: has("go"),
    install: "install Go 1.24 or later (https://go.dev/dl)",
  },
  {
    name: "crowdsec",
    what: "crowdsec and a plugin of its own, which know nothing of this package",
    available: CROWDSEC !== undefined,
    install: "apt-get download crowdsec && dpkg-deb -x crowdsec_*.deb .cache/crowdsec",
  },
  {
    name: "terraform",
    what: "Terraform or OpenTofu itself, with a provider behind the shim",
    available: TERRAFORM !== undefined && has("sshd") && has("go"),
    install: "install Terraform or OpenTofu, or run test/hosts/build-tofu.sh; and openssh-server, Go",
  },
  {
    name: "netns",
    what: "a box behind a long, lossy link, in a network namespace of its own",
    available: process.getuid?.() === 0 && ["ip", "sshd", "python3"].every(has) && existsSync("/dev/net/tun"),
    install: "apt-get install iproute2 openssh-server python3; run as root, with /dev/net/tun",
  },
  {
    name: "faketime",
    what: "a host whose clock is wrong",
    available: has("faketime"),
    install: "apt-get install faketime",
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

function canMount(): boolean {
  try {
    execFileSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/tmp"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
