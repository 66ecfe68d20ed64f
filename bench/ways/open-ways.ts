import { openHostStream } from "../../src/dial/open-plugin-stream.ts";
import { ConnectionPool, type ConnectOptions, LocalRunner, SshRunner, type SshRunnerOptions } from "../../src/index.ts";
import type { Box } from "../box.ts";
import { OpenSsh } from "./open-ssh.ts";
import { OpenSshRunner } from "./open-ssh-runner.ts";
import { rerouted } from "./rerouted.ts";
import type { Way } from "./way.ts";

const NEVER = new AbortController().signal;

/** Every way to plugins on the box, each logged in over a connection of its own. */
export async function openWays(box: Box): Promise<Way[]> {
  return [direct(box), await openSsh(box), ...(await Promise.all(KINDS.map((kind) => overRunner(box, kind))))];
}

/** No SSH at all. Over a long line the plugin's sockets are behind the line, and the plugin itself is not. */
function direct({ line }: Box): Way {
  return {
    name: "direct",
    startsThere: line === undefined,
    runner: (plugin) => {
      const runner = new LocalRunner(plugin);
      if (!line) return runner;
      return rerouted(runner, {
        openStream: async (address, signal = NEVER) => openHostStream(await line.to(address), signal),
        pluginToHost: (address) => line.to(address),
        hostToPlugin: (address) => line.to(address),
      });
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function openSsh(box: Box): Promise<Way> {
  const shared = await OpenSsh.connect(box);
  return {
    name: "ssh -L",
    startsThere: true,
    runner: (plugin) =>
      new OpenSshRunner(
        plugin,
        async () => shared,
        async () => {},
      ),
    coldRunner: (plugin) =>
      new OpenSshRunner(
        plugin,
        () => OpenSsh.connect(box),
        (own) => own[Symbol.asyncDispose](),
      ),
    [Symbol.asyncDispose]: () => shared[Symbol.asyncDispose](),
  };
}

/** How the runner reaches the plugin: by a channel in this process, by a socket of the host's, by a program on the box. */
const KINDS = ["stream", "forward", "relay"] as const;

async function overRunner(box: Box, name: (typeof KINDS)[number]): Promise<Way> {
  const { host, port, user, identityFile, hostKeyFingerprint } = box;
  const options: ConnectOptions = {
    configFile: "none",
    identityFile,
    identityAgent: "none",
    hostKeyFingerprints: [hostKeyFingerprint],
  };
  const destination = `ssh://${user}@${host}:${port}`;
  const pool = new ConnectionPool({ ...options, idleTimeoutMs: 2 ** 31 - 1 });
  (await pool.lease(destination)).release();
  const relay = name === "relay" ? "always" : "never";
  const made = (runner: SshRunnerOptions) => {
    const over = new SshRunner(runner);
    return name === "forward" ? rerouted(over, { openStream: undefined }) : over;
  };
  return {
    name,
    startsThere: true,
    runner: (plugin) => made({ ...plugin, relay, destination, pool }),
    coldRunner: (plugin) => made({ ...plugin, relay, destination, ...options }),
    [Symbol.asyncDispose]: () => pool.close(),
  };
}
