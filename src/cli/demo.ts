import { Command } from "commander";
import { embeddedBox, ownBox } from "../demo/demo-box.ts";
import { formatStep, type Step } from "../demo/steps.ts";
import { tellStory } from "../demo/story.ts";

/** The plugin that the demonstration sends to the box; the build puts it beside the executable. */
const PLUGIN_FILE = new URL("./demo-plugin.js", import.meta.url);

interface DemoFlags {
  to?: string;
  identity?: string[];
  acceptNew?: true;
  node?: string;
  json?: true;
}

/** `go-plugin-ssh demo`: shows a plugin behind an SSH connection, from the connection to its end. */
export function demoCommand(): Command {
  return new Command("demo")
    .description("run a small plugin behind an SSH connection, call it, be called back by it, and end it")
    .option("--to <destination>", "a box of your own with Node 20: user@host or ssh://user@host:port", undefined)
    .option("-i, --identity <file...>", "private key files for --to")
    .option("--accept-new", "record and trust the host key of a host that is not on record yet")
    .option("--node <path>", "the Node executable on the box of --to", "node")
    .option("--json", "print each step as a line of JSON")
    .addHelpText(
      "after",
      `
Without --to, the box is an SSH server inside this process, on the loopback interface.

Examples:
  $ go-plugin-ssh demo
  $ go-plugin-ssh demo --to build-7
  $ go-plugin-ssh demo --to ssh://deploy@build-7:2222 -i ~/.ssh/build --node /opt/node/bin/node`,
    )
    .action(demo);
}

async function demo(flags: DemoFlags): Promise<void> {
  const started = performance.now();
  const tell = flags.json
    ? (step: Step) => process.stdout.write(`${JSON.stringify({ ...step, ms: Math.round(step.ms * 10) / 10 })}\n`)
    : (step: Step) => process.stdout.write(`${formatStep(step)}\n`);
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  // Whoever read our output is gone, `head` for example: then the story ends early, and still tidies up.
  process.stdout.on("error", interrupt);
  if (!flags.json) process.stdout.write(`A go-plugin plugin on ${flags.to ?? "a box"}, over SSH:\n\n`);
  try {
    await run(flags, tell, interrupted.signal);
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (!flags.json) process.stdout.write(`\nDone in ${seconds} s. Nothing is left behind on either side.\n`);
}

async function run(flags: DemoFlags, tell: (step: Step) => void, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const box = flags.to
    ? ownBox(
        flags.to,
        {
          ...(flags.identity ? { identityFile: flags.identity } : {}),
          strictHostKeyChecking: flags.acceptNew ? "accept-new" : "yes",
        },
        flags.node ?? "node",
      )
    : await embeddedBox();
  try {
    if (box.made) tell({ step: "server", ms: performance.now() - started, text: box.made });
    await tellStory(box, PLUGIN_FILE, tell, signal);
  } finally {
    const closing = performance.now();
    await box[Symbol.asyncDispose]();
    if (box.removed) tell({ step: "server", ms: performance.now() - closing, text: box.removed });
  }
}
