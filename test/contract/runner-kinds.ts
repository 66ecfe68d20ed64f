import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Destination } from "../../src/connect/destination.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { Address } from "../../src/contract/address.ts";
import type { Runner } from "../../src/contract/runner.ts";
import type { EmbeddedServerOptions } from "../../src/demo/embedded-server.ts";
import { LocalRunner } from "../../src/runner/local-runner.ts";
import { type PluginOptions, resolvePluginOptions } from "../../src/runner/plugin-options.ts";
import { SpareSupervisors } from "../../src/runner/spare-supervisors.ts";
import { type ForwardOptions, SshRunner } from "../../src/runner/ssh-runner.ts";
import { startAsyncSsh } from "../servers/asyncssh.ts";
import { builtDropbear, installedDropbear, startDropbear } from "../servers/dropbear.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startGoSsh } from "../servers/go-ssh.ts";
import { type OpenSshOptions, startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { establishedOn } from "../tools/established.ts";
import { eventually, isAlive, openSockets, processesWith, signalFound } from "../tools/leaks.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));

/** A box and what a test needs on it. Disposing it fails if anything is left of what was started. */
export interface Bench extends AsyncDisposable {
  /** A directory whose name stands in the command line of every fixture; the box's login can read it. */
  readonly directory: string;
  /** Where the private directories are made on the box; empty when no plugin runs. */
  readonly boxTmp: string;
  /** Where this process keeps its temporary files meanwhile; empty when no plugin runs. */
  readonly hostTmp: string;
  /** The server, if there is one. */
  readonly server: TestServer | undefined;
  /** The command that runs a fixture. */
  command(fixture: string, ...args: string[]): PluginOptions["command"];
  /** A new runner. The options win over the bench's own. */
  runner(options: PluginOptions & ForwardOptions): Runner;
  /** How many connections to the box are open. */
  connections(): number;
}

export type Network = Address["network"];

/** A way to run plugins, so that one suite can run over all ways. */
export interface RunnerKind {
  readonly name: string;
  /** Whether addresses are the same on both sides. */
  readonly isLocal: boolean;
  /** Which kinds of address it can translate, the usual one first. */
  readonly networks: Readonly<Record<"pluginToHost" | "hostToPlugin", readonly [Network, ...Network[]]>>;
  /** How its runners connect, besides what {@link connectTo} says. */
  readonly connect?: ConnectOptions;
  open(): Promise<Bench>;
}

/** What a server can do that forwards unix sockets, or where a relay does it. */
const ALL = { pluginToHost: ["unix", "tcp"], hostToPlugin: ["unix", "tcp"] } as const;

/** Plugins as child processes. */
export const localKind: RunnerKind = {
  name: "LocalRunner",
  isLocal: true,
  networks: ALL,
  open: async () => openBench(openSockets(), undefined, (options) => new LocalRunner(options)),
};

/** Plugins behind the SSH server in this process. */
export const embeddedKind: RunnerKind = embeddedKindWith("", {});

/** The same, with a server that is not as usual, or with other options for the runner. */
export function embeddedKindWith(
  what: string,
  settings: EmbeddedServerOptions,
  options: Partial<ForwardOptions> = {},
): RunnerKind {
  return {
    name: `SshRunner, embedded server${what}`,
    isLocal: false,
    networks: ALL,
    open: async () => {
      const before = openSockets();
      const server = await startEmbedded(settings);
      return openBench(before, server, sshRunner(server, options), () => server.embedded.connections);
    },
  };
}

/** Plugins behind a throw-away sshd; `lines` for its configuration come first. */
export function opensshKind(user?: string, lines: readonly string[] = []): RunnerKind {
  return {
    name: ["SshRunner, sshd", ...(user ? ["an ordinary login"] : []), ...lines].join(", "),
    isLocal: false,
    networks: ALL,
    open: () => openSshBench({ options: lines, ...(user ? { user } : {}) }),
  };
}

/** Connects by the system's `ssh`, which does not look into anybody's configuration. */
const BY_SYSTEM_SSH = { backend: "openssh", configFile: "none" } as const;

/** Plugins behind a throw-away sshd, to which the system's `ssh` connects. */
export function opensshClientKind(user?: string): RunnerKind {
  return {
    name: ["SshRunner, the system's ssh, sshd", ...(user ? ["an ordinary login"] : [])].join(", "),
    isLocal: false,
    networks: ALL,
    connect: BY_SYSTEM_SSH,
    open: async () => {
      const before = openSockets();
      const server = await startOpenSsh(user ? { user } : {});
      return openBench(before, server, sshRunner(server, BY_SYSTEM_SSH), () => server.sessionPids().length);
    },
  };
}

/** A bench behind a throw-away sshd, with runners that connect as `connect` says and in no other way. */
export async function openConfiguredBench(
  options: OpenSshOptions,
  connect: (server: TestServer) => Promise<ConnectOptions & { destination: Destination }>,
): Promise<Bench> {
  const before = openSockets();
  const server = await startOpenSsh(options);
  const usual = await connect(server);
  const make = (more: PluginOptions & ForwardOptions) => new SshRunner({ ...usual, ...more });
  return openBench(before, server, make, () => server.sessionPids().length);
}

/** Plugins behind a throw-away sshd, on one connection, each started by a supervisor that has waited for it. */
export const spareKind: RunnerKind = {
  name: "SshRunner, sshd, a supervisor that has waited",
  isLocal: false,
  networks: ALL,
  open: async () => {
    const before = openSockets();
    const server = await startOpenSsh();
    const { destination, ...options } = connectTo(server);
    const pool = new ConnectionPool({ ...options, idleTimeoutMs: 200 });
    const make = (given: PluginOptions & ForwardOptions) => new SpareRunner({ pool, destination, ...given });
    return openBench(before, server, make, () => server.sessionPids().length);
  },
};

/** Has a supervisor made that fits before it starts. */
class SpareRunner extends SshRunner {
  readonly #options: PluginOptions & { pool: ConnectionPool; destination: Destination };
  #starting: Promise<void> | undefined;

  constructor(options: PluginOptions & ForwardOptions & { pool: ConnectionPool; destination: Destination }) {
    super(options);
    this.#options = options;
  }

  override async start(signal?: AbortSignal): Promise<void> {
    if (this.#starting) {
      await this.#starting.catch(() => {});
      return super.start(signal);
    }
    this.#starting = this.#startOnSpare(signal);
    return this.#starting;
  }

  async #startOnSpare(signal: AbortSignal | undefined): Promise<void> {
    const { pool, destination } = this.#options;
    await using lease = await pool.lease(destination);
    const spares = SpareSupervisors.of(lease.connection);
    const { leaseMs, heartbeatIntervalMs, ...care } = resolvePluginOptions(this.#options);
    const start = { care: { ...care, leaseMs }, heartbeatIntervalMs: leaseMs > 0 ? heartbeatIntervalMs : 0 };
    spares.refill(start, 1);
    await eventually(() => spares.fits(start), { what: "a supervisor to wait", timeoutMs: 20_000 });
    await super.start(signal);
    expect(spares.fits(start)).toBe(false);
  }
}

/** A bench behind a throw-away sshd. */
export async function openSshBench(options: OpenSshOptions): Promise<Bench> {
  const before = openSockets();
  const server = await startOpenSsh(options);
  return openBench(before, server, sshRunner(server), () => server.sessionPids().length);
}

/** A bench behind servers that run, the last of which is the box. They are stopped with it. */
export function openChainBench(
  servers: readonly TestServer[],
  connect: ConnectOptions & { destination: Destination },
): Bench {
  const box = servers.at(-1) as TestServer;
  const stop: TestServer["stop"] = async (options) => {
    for (const server of [...servers].reverse()) await server.stop(options);
  };
  const connections = () => servers.reduce((sum, server) => sum + server.sessionPids().length, 0);
  return openBench(
    openSockets(),
    { ...box, stop },
    (options) => new SshRunner({ ...connect, ...options }),
    connections,
  );
}

/** Plugins behind the dropbear that is installed, or behind the newer one that was built. */
export function dropbearKind(which: "installed" | "built"): RunnerKind {
  return {
    name: `SshRunner, dropbear (${which})`,
    isLocal: false,
    networks: ALL,
    open: () => {
      const dropbear = which === "installed" ? installedDropbear() : builtDropbear();
      if (!dropbear) throw new TypeError("There is no such dropbear here.");
      return openServer(() => startDropbear(dropbear));
    },
  };
}

/**
 * Plugins behind a server in a container, which many tests share: it must see `place` under the same path, and processes
 * under the same numbers.
 */
export function containerKind(name: string, place: string, container: () => TestServer): RunnerKind {
  return {
    name: `SshRunner, ${name} in a container`,
    isLocal: false,
    networks: ALL,
    open: async () => {
      const server = { ...container(), stop: async () => {} };
      return openBench(openSockets(), server, sshRunner(server), () => server.sessionPids().length, {
        place,
        node: "/usr/bin/node",
      });
    },
  };
}

/** Plugins behind a server made with asyncssh. */
export const asyncSshKind: RunnerKind = {
  name: "SshRunner, asyncssh",
  isLocal: false,
  networks: ALL,
  open: () => openServer(startAsyncSsh),
};

/** Plugins behind a server made with golang.org/x/crypto/ssh. */
export const goSshKind: RunnerKind = {
  name: "SshRunner, x/crypto/ssh",
  isLocal: false,
  networks: ALL,
  open: () => openServer(startGoSsh),
};

async function openServer(start: () => Promise<TestServer>): Promise<Bench> {
  const before = openSockets();
  const server = await start();
  return openBench(before, server, sshRunner(server), () => establishedOn(server.port));
}

/** What connects to a test server, whether by itself or by a proxy at another port. */
export function connectTo(server: TestServer, port = server.port) {
  return {
    destination: { host: server.host, port, user: server.user },
    identityFile: server.identityFile,
    configFile: "none",
    identityAgent: "none",
    hostKeyFingerprints: [server.hostKeyFingerprint],
  };
}

function sshRunner(server: TestServer, usual: Partial<ForwardOptions & ConnectOptions> = {}) {
  return (options: PluginOptions & ForwardOptions) => new SshRunner({ ...connectTo(server), ...usual, ...options });
}

/** Where a box is not this machine. */
interface Elsewhere {
  /** Where the bench's directory is made. */
  place?: string;
  /** The box's Node. */
  node?: string;
}

function openBench(
  before: ReturnType<typeof openSockets>,
  server: TestServer | undefined,
  make: (options: PluginOptions & ForwardOptions) => Runner,
  connections = () => 0,
  { place = tmpdir(), node = process.execPath }: Elsewhere = {},
): Bench {
  const oldTmp = process.env.TMPDIR;
  // Short, because sockets are made below it; open to everybody, because the login may be another.
  const directory = mkdtempSync(join(place, "gpt"));
  chmodSync(directory, 0o755);
  const [boxTmp, hostTmp] = [join(directory, "b"), join(directory, "h")];
  for (const path of [boxTmp, hostTmp]) mkdirSync(path);
  chmodSync(boxTmp, 0o1777);
  cpSync(FIXTURES, join(directory, "fixtures"), { recursive: true });
  process.env.TMPDIR = hostTmp;
  const runners: Runner[] = [];

  return {
    directory,
    boxTmp,
    hostTmp,
    server,
    connections,
    command: (fixture, ...args) => {
      const path = join(directory, "fixtures", fixture);
      return fixture.endsWith(".mjs") ? [node, path, ...args] : [path, ...args];
    },
    runner: (options) => {
      const runner = make({ directoryBase: boxTmp, killGraceMs: 1000, ...options });
      runners.push(runner);
      return runner;
    },
    [Symbol.asyncDispose]: async () => {
      if (oldTmp === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = oldTmp;
      try {
        const left = () => leftovers({ directory, boxTmp, hostTmp, runners, connections });
        await eventually(() => expect(left()).toEqual([]) ?? true, { what: "nothing to be left", state: left });
        await server?.stop();
        const more = () => Object.entries(openSockets()).filter(([kind, count]) => count > (before[kind] ?? 0));
        await eventually(() => more().length === 0, { what: "all sockets to be closed", state: more });
      } finally {
        await server?.stop({ leftovers: "end" }).catch(() => {});
        for (const { pid } of processesWith(directory)) signalFound(pid);
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}

/** What is still there of a bench's plugins, in words. */
function leftovers(bench: Pick<Bench, "directory" | "boxTmp" | "hostTmp" | "connections"> & { runners: Runner[] }) {
  const pids = bench.runners.map(({ id }) => Number(id.split("#")[1])).filter((pid) => pid > 0 && isAlive(pid));
  const open = bench.connections();
  return [
    ...pids.map((pid) => `plugin ${pid}`),
    ...processesWith(bench.directory)
      .filter(({ cmdline }) => !cmdline.includes("sshd"))
      .map(({ pid, cmdline }) => `process ${pid}: ${cmdline}`),
    ...[bench.boxTmp, bench.hostTmp].flatMap((path) => readdirSync(path).map((name) => join(path, name))),
    ...(open > 0 ? [`${open} connections`] : []),
  ];
}
