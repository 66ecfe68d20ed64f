import { spawn } from "node:child_process";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "../contract/address.ts";
import { formatAddress } from "../contract/address.ts";
import type { ExecChannel } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { within } from "../lifetime/deadline.ts";
import type { Box, Translator } from "./box.ts";
import { checkNames, PLUGIN_OPTION_NAMES, type PluginOptions, resolvePluginOptions } from "./plugin-options.ts";
import { SupervisedRunner } from "./supervised-runner.ts";

const CONNECT_MS = 10_000;

/** Settings of a {@link LocalRunner}. */
export interface LocalRunnerOptions extends PluginOptions {
  /** Gives the plugin this process's whole environment, as go-plugin does unless `SkipHostEnv`. @default true */
  inheritEnvironment?: boolean;
}

/**
 * Runs a plugin on this machine, under the same supervisor as on a box: it ends with all its descendants when this
 * process ends, however that ends. Addresses are the same on both sides.
 */
export class LocalRunner extends SupervisedRunner {
  /** @throws {PluginError} `bad-options`; nothing has been started then */
  constructor(options: LocalRunnerOptions) {
    checkNames(options, (name) => name === "inheritEnvironment" || PLUGIN_OPTION_NAMES.includes(name));
    const { inheritEnvironment = true } = options;
    // The supervisor sees the end of its input the moment this process ends, so there is nothing to renew.
    super({ ...resolvePluginOptions(options), leaseMs: 0 }, async () => localBox(inheritEnvironment));
  }
}

function localBox(inheritEnvironment: boolean): Box {
  const { PATH, HOME, USER, LOGNAME, SHELL, LANG } = process.env;
  const env = inheritEnvironment ? process.env : withoutUndefined({ PATH, HOME, USER, LOGNAME, SHELL, LANG });
  return {
    name: "local:",
    lost: new AbortController().signal,
    exec: async (command) => localExec(command, env),
    translator: () => IDENTITY,
    close: async () => {},
  };
}

/** In a session of its own, so that Ctrl-C reaches the host only, which decides. */
function localExec(command: string, env: NodeJS.ProcessEnv): Promise<ExecChannel> {
  const child = spawn("/bin/sh", ["-c", command], { detached: true, env, stdio: ["pipe", "pipe", "pipe"] });
  const exited = new Promise<ExitStatus | undefined>((resolve) => {
    child.on("exit", (code, signal) =>
      resolve(code !== null ? { code, signal: null } : { code: null, signal: signal ?? "" }),
    );
    child.on("error", () => resolve(undefined));
  });
  const closed = new Promise((resolve) => child.on("close", resolve));
  return new Promise((resolve, reject) => {
    child.on("error", (cause) => {
      reject(new PluginError("plugin-not-started", `/bin/sh cannot be started: ${cause.message}.`, { cause }));
    });
    child.on("spawn", () => {
      resolve({
        stdin: child.stdin,
        stdout: child.stdout,
        stderr: child.stderr,
        exited,
        closed,
        signal: (name) => void child.kill(`SIG${name}` as NodeJS.Signals),
        close: () => child.stdin.destroy(),
      });
    });
  });
}

const IDENTITY: Translator = {
  pluginToHost: async (address) => address,
  hostToPlugin: async (address) => address,
  openStream: dial,
  notes: () => [],
  settled: async () => {},
  close: async () => {},
};

function dial(address: Address, signal?: AbortSignal): Promise<Duplex> {
  const onTimeout = () =>
    new PluginError("timeout", `${formatAddress(address)} did not answer within ${CONNECT_MS} ms.`);
  return within({ signal, timeoutMs: CONNECT_MS, onTimeout }, (over) => {
    return new Promise<Duplex>((resolve, reject) => {
      const to =
        address.network === "unix" ? { path: address.path } : { host: address.host || "127.0.0.1", port: address.port };
      const socket = connect({ ...to, noDelay: true, allowHalfOpen: true }, () => resolve(socket));
      socket.on("error", (cause) => {
        reject(
          new PluginError("forward-failed", `Nothing answers at ${formatAddress(address)}: ${cause.message}.`, {
            cause,
          }),
        );
      });
      over.addEventListener("abort", () => socket.connecting && socket.destroy(), { once: true });
    });
  });
}

function withoutUndefined(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}
