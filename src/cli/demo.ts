import { Command } from "commander";
import { type DemoBox, embeddedBox, ownBox } from "../demo/demo-box.ts";
import { formatStep, type Step, type Tell } from "../demo/steps.ts";
import { tellStory } from "../demo/story.ts";
import { PluginError } from "../index.ts";
import { harmless } from "../lifetime/tail.ts";
import { addConnectionFlags, type ConnectionFlags, connectionFrom, givenConnectionFlags } from "./connection-flags.ts";
import { interruption } from "./interruption.ts";
import { promptOptions } from "./prompts.ts";

/** The plugin that the demonstration sends to the box; the build puts it beside the executable. */
const PLUGIN_FILE = new URL("./demo-plugin.js", import.meta.url);

/** Lines of the story are neither narrower nor wider, whatever the terminal. */
const [NARROWEST, WIDEST] = [60, 100];

interface DemoFlags extends ConnectionFlags {
  to?: string;
  node?: string;
  json?: true;
}

/** `go-plugin-ssh demo`: shows a plugin behind an SSH connection, from the connection to its end. */
export function demoCommand(): Command {
  const command = new Command("demo")
    .summary("show a plugin behind an SSH connection")
    .description("run a small plugin behind an SSH connection, call it, be called back by it, and end it")
    .option("--to <destination>", "a box of your own that has Node 20: user@host or ssh://user@host:port")
    .option("--node <path>", 'with --to: the Node executable on the box (default: "node")')
    .option("--json", "print each step as a line of JSON");
  return addConnectionFlags(command, "How to reach the box, with --to:")
    .addHelpText(
      "after",
      `
Without --to, the box is an SSH server inside this process, on the loopback
interface.

Examples:
  $ go-plugin-ssh demo
  $ go-plugin-ssh demo --to build-7
  $ go-plugin-ssh demo --to ssh://deploy@build-7:2222 -i ~/.ssh/build \\
      --node /opt/node/bin/node`,
    )
    .action(demo);
}

async function demo(flags: DemoFlags): Promise<void> {
  checkFlags(flags);
  const started = performance.now();
  using interrupted = interruption((text) => process.stderr.write(`go-plugin-ssh: ${text}\n`));
  const tell = flags.json ? tellAsJson : tellPeople();
  try {
    await run(flags, tell, interrupted.signal);
  } catch (failure) {
    throw interrupted.instead(failure);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (!flags.json) process.stdout.write(`\nDone in ${seconds} s. Nothing is left behind on either side.\n`);
}

/** Refuses what would be ignored. */
function checkFlags(flags: DemoFlags): void {
  const [flag] = [...givenConnectionFlags(flags), ...(flags.node === undefined ? [] : ["--node"])];
  if (flags.to === undefined && flag !== undefined) {
    throw new PluginError("bad-options", `${flag} is of no use without --to.`, {
      hint: "Without --to, the demonstration makes its own server and its own key.",
    });
  }
}

async function run(flags: DemoFlags, tell: Tell, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const box = flags.to === undefined ? await embeddedBox() : userBox(flags.to, flags);
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      const closing = performance.now();
      await box[Symbol.asyncDispose]();
      if (box.removed) tell({ step: "server", ms: performance.now() - closing, text: box.removed });
    },
  };
  if (box.made) tell({ step: "server", ms: performance.now() - started, text: box.made });
  await tellStory(box, PLUGIN_FILE, tell, signal);
}

function userBox(to: string, flags: DemoFlags): DemoBox {
  const { destination, options } = connectionFrom(to, flags);
  const onNotice = (text: string) => process.stderr.write(`go-plugin-ssh: ${harmless(text)}\n`);
  return ownBox(destination, { onNotice, ...promptOptions(), ...options }, flags.node ?? "node");
}

function tellAsJson(step: Step): void {
  process.stdout.write(`${JSON.stringify({ ...step, ms: Math.round(step.ms * 10) / 10 })}\n`);
}

/** With a heading before the first step: what fails before it needs none, and a destination may hold a password. */
function tellPeople(): Tell {
  const columns = Math.min(Math.max(process.stdout.columns ?? 80, NARROWEST), WIDEST);
  let heading = "A go-plugin plugin on a box, over SSH:\n\n";
  return (step) => {
    process.stdout.write(`${heading}${formatStep(step, columns)}\n`);
    heading = "";
  };
}
