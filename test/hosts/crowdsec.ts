import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "../servers/spawn-server.ts";
import { CROWDSEC } from "../tiers/tiers.ts";
import { childrenOf } from "../tools/children.ts";
import { eventually } from "../tools/eventually.ts";

/** On a machine that does other things too, each of its steps may take a while. */
const PATIENCE_MS = 30_000;

/** A crowdsec that hosts notification plugins. Disposing it ends it as its service manager would. */
export interface CrowdSec extends AsyncDisposable {
  /** What it has said so far. */
  readonly output: string;
  /** What it has started and has not ended, among that its plugins: it leaves them to themselves. */
  children(): number[];
  /** Bans an address by hand, which its notification plugins are told. */
  ban(address: string, reason: string): Promise<void>;
}

/** Where crowdsec keeps everything, before it is started. */
export interface CrowdSecFiles {
  /** Where it looks for its plugins: `notification-dummy` is the one that it will start. */
  readonly pluginDirectory: string;
  /** @param env all that it sees of an environment, and its plugins with it */
  start(env: Readonly<Record<string, string>>): Promise<CrowdSec>;
}

/**
 * Writes a configuration that needs no network and tells its dummy plugin of every ban.
 *
 * @param notified the file, on the machine that the plugin runs on, that the plugin writes to
 */
export async function prepareCrowdSec(directory: string, notified: string): Promise<CrowdSecFiles> {
  if (!CROWDSEC) throw new TypeError("There is no crowdsec here.");
  const { program, tool, shared, configuration } = CROWDSEC;
  const port = await freePort();
  const at = (...names: string[]) => join(directory, ...names);
  for (const name of ["etc/notifications", "data", "plugins"]) mkdirSync(at(name), { recursive: true });
  cpSync(join(shared, "hub"), at("hub"), { recursive: true });
  cpSync(join(configuration, "patterns"), at("etc/patterns"), { recursive: true });
  cpSync(join(configuration, "simulation.yaml"), at("etc/simulation.yaml"));
  const { username } = userInfo();
  const group = (await run("id", ["-gn"])).trim();
  const config = {
    common: { daemonize: false, log_media: "stdout", log_level: "debug", working_dir: directory },
    config_paths: {
      config_dir: at("etc"),
      data_dir: at("data"),
      simulation_path: at("etc/simulation.yaml"),
      hub_dir: at("hub"),
      index_path: at("hub/.index.json"),
      notification_dir: at("etc/notifications"),
      plugin_dir: at("plugins"),
    },
    db_config: { log_level: "info", type: "sqlite", db_path: at("data/crowdsec.db") },
    plugin_config: { user: username, group },
    api: {
      client: { credentials_path: at("etc/credentials.yaml") },
      server: { log_level: "info", listen_uri: `127.0.0.1:${port}`, profiles_path: at("etc/profiles.yaml") },
    },
    prometheus: { enabled: false },
  };
  // JSON is YAML.
  writeFileSync(at("etc/config.yaml"), JSON.stringify(config));
  const profile = { name: "all", filters: ["true"], notifications: ["to_a_file"], on_success: "break" };
  writeFileSync(at("etc/profiles.yaml"), JSON.stringify(profile));
  const format = "{{range . -}}{{.Scenario}} {{.Source.Value}}{{end -}}";
  const notification = { type: "dummy", name: "to_a_file", log_level: "info", format, output_file: notified };
  writeFileSync(at("etc/notifications/dummy.yaml"), JSON.stringify({ ...notification, group_wait: "0s" }));
  const ask = (...args: string[]) => run(tool, ["-c", at("etc/config.yaml"), ...args]);
  await ask("machines", "add", "tester", "--password", "anything", "--file", at("etc/credentials.yaml"));
  return {
    pluginDirectory: at("plugins"),
    start: (env) => start(program, at("etc/config.yaml"), env, ask),
  };
}

async function start(
  program: string,
  config: string,
  env: Readonly<Record<string, string>>,
  ask: (...args: string[]) => Promise<string>,
): Promise<CrowdSec> {
  const child = spawn(program, ["-c", config, "-no-cs"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
    await ended;
    clearTimeout(late);
  };
  try {
    const state = () => output;
    const hasBegun = () => child.exitCode !== null || output.includes("Local API listening");
    await eventually(hasBegun, { what: "crowdsec to listen", timeoutMs: PATIENCE_MS, state });
    if (child.exitCode !== null) throw new Error(`crowdsec ended instead of listening:\n${output}`);
  } catch (failure) {
    await stop();
    throw failure;
  }
  return {
    get output() {
      return output;
    },
    children: () => childrenOf(child.pid ?? 0),
    ban: async (address, reason) => {
      await ask("decisions", "add", "--ip", address, "--reason", reason);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(program, args, { timeout: PATIENCE_MS })).stdout;
}
