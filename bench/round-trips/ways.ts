import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ConnectionPool, type PluginOptions, type Runner, SshRunner } from "../../src/index.ts";
import { SpareSupervisors } from "../../src/runner/spare-supervisors.ts";
import { eventually } from "../../test/tools/eventually.ts";
import type { Box } from "../box.ts";
import { host } from "../hosted.ts";
import { OpenSsh, sshArguments } from "../ways/open-ssh.ts";
import { OpenSshRunner } from "../ways/open-ssh-runner.ts";
import { SingleSsh } from "./single-ssh.ts";
import type { Story } from "./story.ts";

const READY_MS = 60_000;
const FIRST_ANSWER = "first answer";

/** A way from nothing, or from a connection, to a plugin's first answer. */
export interface Way extends AsyncDisposable {
  readonly name: string;
  /** Goes it once; the story is told what happens, and begins when all that is there before is there. */
  go(story: Story): Promise<void>;
}

/** The ways that are compared, in the order of the table. */
export function openWays(box: Box, story: Story): Way[] {
  return [
    cold(box),
    warm(box, 0),
    warm(box, 1),
    alone(box, story),
    master(box, false),
    master(box, true),
    ...bare(box),
  ];
}

function cold(box: Box): Way {
  return {
    name: "cold",
    go: async (story) => {
      await using pool = poolOf(box);
      await once(story, (plugin) => new SshRunner({ ...plugin, pool, destination: destinationOf(box) }));
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

function warm(box: Box, spareSupervisors: number): Way {
  const pool = poolOf(box);
  let isWarm = false;
  return {
    name: spareSupervisors > 0 ? "warm, a supervisor waits" : "warm",
    go: async (story) => {
      await using lease = await pool.lease(destinationOf(box));
      const make = (plugin: PluginOptions) =>
        new SshRunner({ ...plugin, pool, destination: destinationOf(box), spareSupervisors });
      const spares = SpareSupervisors.of(lease.connection);
      // The first command of a connection waits for more than the later ones.
      if (!isWarm) await once(story, make);
      isWarm = true;
      const there = () => spares.size === spareSupervisors;
      await eventually(there, { what: "supervisors to wait", timeoutMs: READY_MS });
      await once(story, make);
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}

/** `ssh` with nothing shared: the plugin is started by one, and another one forwards its socket. */
function alone(box: Box, story: Story): Way {
  return {
    name: "ssh -L, no master",
    go: async () => {
      const make = (plugin: PluginOptions) =>
        new OpenSshRunner(
          plugin,
          async () => new SingleSsh(box, story),
          (ssh) => ssh[Symbol.asyncDispose](),
        );
      await once(story, make);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** `ssh` with a ControlMaster, which is there before, or not. */
function master(box: Box, isThere: boolean): Way {
  return {
    name: isThere ? "ssh -L, ControlMaster is there" : "ssh -L, ControlMaster first",
    go: async (story) => {
      await using shared = isThere ? await OpenSsh.connect(box) : undefined;
      const open = async () => {
        const ssh = shared ?? (await OpenSsh.connect(box));
        if (!shared) story.note("master is there");
        return ssh;
      };
      const close = (ssh: AsyncDisposable) =>
        shared ? Promise.resolve() : Promise.resolve(ssh[Symbol.asyncDispose]());
      await once(story, (plugin) => new OpenSshRunner(plugin, open, close));
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

/** What a command alone costs. */
function bare(box: Box): Way[] {
  const run = async (story: Story, socket: string) => {
    story.begin();
    await promisify(execFile)("ssh", [...sshArguments(box, socket), box.host, "true"]);
    story.note("the command has ended");
  };
  return [
    { name: "ssh box true", go: (story) => run(story, "none"), [Symbol.asyncDispose]: async () => {} },
    {
      name: "ssh box true, ControlMaster is there",
      go: async (story) => {
        await using shared = await OpenSsh.connect(box);
        await run(story, shared.socket);
      },
      [Symbol.asyncDispose]: async () => {},
    },
  ];
}

/** One start, from the call to the first answer, over TLS. */
async function once(story: Story, makeRunner: (plugin: PluginOptions) => Runner): Promise<void> {
  story.begin();
  await using hosted = await host((plugin) => told(makeRunner(plugin), story), { program: "kv", autoMtls: true });
  await hosted.kv.echo({});
  story.note(FIRST_ANSWER);
}

/** Tells what a runner without a wire of ours has reached. */
function told(runner: Runner, story: Story): Runner {
  if (runner instanceof SshRunner) return runner;
  runner.stdout.once("data", () => story.note("handshake line"));
  const translate = runner.pluginToHost.bind(runner);
  runner.pluginToHost = async (address, signal) => {
    const made = await translate(address, signal);
    story.note("forward made");
    return made;
  };
  return runner;
}

function destinationOf({ user, host, port }: Box) {
  return { user, host, port };
}

function poolOf({ identityFile, hostKeyFingerprint }: Box): ConnectionPool {
  return new ConnectionPool({ identityFile, identityAgent: "none", hostKeyFingerprints: [hostKeyFingerprint] });
}
