import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect as connectSocket, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect } from "../../src/connect/connect.ts";
import type { Address } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import type { Runner } from "../../src/contract/runner.ts";
import { type Bench, connectTo, type RunnerKind } from "../contract/runner-kinds.ts";
import { Said } from "../contract/said.ts";
import { isAlive } from "../tools/leaks.ts";
import type { TestServer } from "./server.ts";

/** What plugins can do behind one kind of server, in the words of docs/compatibility.md. */
export interface Abilities {
  readonly version: string;
  readonly exec: string;
  readonly "stdout and stderr apart": string;
  readonly "exit status": string;
  readonly kill: string;
  readonly "to a unix socket": string;
  readonly "to a TCP port": string;
  readonly "callback to a unix socket": string;
  readonly "callback to a TCP port": string;
}

/** Tries everything once behind a server of this kind. */
export async function abilitiesOf(kind: RunnerKind): Promise<Abilities> {
  await using bench = await kind.open();
  const server = bench.server as TestServer;
  const { destination, ...options } = connectTo(server);
  await using connection = await connect(destination, options);
  const ends = await commandsOf(bench);
  const runner = bench.runner({ command: bench.command("serves.mjs") });
  await runner.start();
  runner.stderr.resume();
  const { path, port } = JSON.parse((await new Said(runner.stdout).until(/.*\n/))[0]);
  const at = { unix: { network: "unix", path }, tcp: { network: "tcp", host: "127.0.0.1", port } } as const;

  /** By the server itself, by whatever takes its place, or not at all. */
  const way = async (byServer: Promise<string>, byRunner: () => Promise<string>) => {
    const [own, any] = [await outcome(byServer), await outcome(byRunner())];
    return any !== "yes" ? "no" : own === "yes" ? "forward" : "relay";
  };
  const to = (address: Address) =>
    way(
      connection.openStream(address).then((stream) => echoes(stream)),
      async () => echoes((await runner.openStream?.(address)) as Duplex),
    );
  const listenable = (network: Address["network"]): Address =>
    network === "unix" ? { network, path: join(bench.directory, "b", "probe") } : { ...at.tcp, port: 0 };
  const from = async (network: Address["network"]) => {
    const byServer = connection
      .listen(listenable(network), (stream) => stream.destroy())
      .then(async (listener) => {
        await listener.close();
        return "yes";
      });
    const answer = await way(byServer, () => callback(runner, network, at));
    rmSync(join(bench.directory, "b", "probe"), { force: true });
    return answer;
  };
  const forwards = {
    "to a unix socket": await to(at.unix),
    "to a TCP port": await to(at.tcp),
    "callback to a unix socket": await from("unix"),
    "callback to a TCP port": await from("tcp"),
  };
  const pid = Number(runner.id.split("#")[1]);
  await runner.kill();
  const kill = isAlive(pid) ? "no" : "yes";
  return { version: await versionOf(server), ...ends, kill, ...forwards };
}

async function commandsOf(bench: Bench) {
  await using runner = bench.runner({ command: ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"] });
  await runner.start();
  const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
  const said = [await stdout.all, await stderr.all];
  const status = await runner.wait();
  return {
    exec: said.join("").includes("out") ? "yes" : "no",
    "stdout and stderr apart": said[0] === "out\n" && said[1] === "err\n" ? "yes" : "no",
    "exit status": status.code === 3 ? "yes" : "no",
  };
}

/** Whether the plugin, told an address of the host's, gets through to it. */
async function callback(runner: Runner, network: Address["network"], at: Record<Address["network"], Address>) {
  const directory = mkdtempSync(join(tmpdir(), "gpt"));
  const server = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  const listen = network === "unix" ? { path: join(directory, "host") } : { host: "127.0.0.1", port: 0 };
  await new Promise<void>((resolve) => server.listen(listen, resolve));
  try {
    const host: Address =
      network === "unix"
        ? { network, path: join(directory, "host") }
        : { network, host: "127.0.0.1", port: (server.address() as AddressInfo).port };
    const address = await runner.hostToPlugin(host);
    const open = (to: Address) => runner.openStream?.(to) as Promise<Duplex>;
    const stream = await open(at.unix).catch(() => open(at.tcp));
    stream.write(
      `dial ${address.network} ${address.network === "unix" ? address.path : `127.0.0.1:${address.port}`}\n`,
    );
    stream.end("works");
    return (await new Said(stream).all) === "works" ? "yes" : "no";
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
    rmSync(directory, { recursive: true, force: true });
  }
}

async function echoes(stream: Duplex): Promise<string> {
  stream.end("echo\nworks");
  return (await new Said(stream).all) === "works" ? "yes" : "no";
}

async function outcome(answer: Promise<string>): Promise<string> {
  return answer.catch((failure) => {
    if (failure instanceof PluginError) return failure.code;
    throw failure;
  });
}

/** What the server calls itself in its banner (RFC 4253, section 4.2), for people. */
async function versionOf({ host, port }: TestServer): Promise<string> {
  const socket = connectSocket({ host, port });
  const [banner] = await once(socket, "data");
  socket.destroy();
  return /^SSH-2\.0-(\S*)/.exec(String(banner))?.[1] ?? "";
}
