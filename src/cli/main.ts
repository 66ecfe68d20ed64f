#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import packageFile from "../../package.json" with { type: "json" };
import { isStartedByHost } from "../shim/cookie.ts";
import { hclogLine } from "../shim/hclog.ts";
import { EXIT_CODES_HELP, exitCode } from "./exit-codes.ts";
import { failureText, fitted } from "./failure-text.ts";

/** Each command is loaded when it is asked for: a shim has no use for what the demonstration needs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./run.ts")).runCommand(),
  shim: async () => (await import("./shim.ts")).shimCommand(),
  reattach: async () => (await import("./reattach.ts")).reattachCommand(),
  config: async () => (await import("./config.ts")).configCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
};

/** A host logs what a shim says, and wants to know how urgent it is. */
const speaksToHost = process.argv[2] === "shim" && isStartedByHost(process.env);

const program = new Command("go-plugin-ssh")
  .description(packageFile.description)
  .version(packageFile.version)
  .configureHelp({ subcommandTerm: (command) => command.name() })
  .addHelpText("after", `\n${EXIT_CODES_HELP}`);
const asked = COMMANDS[process.argv[2] ?? ""];
for (const load of asked ? [asked] : Object.values(COMMANDS)) program.addCommand(await load());
for (const command of [program, ...program.commands]) {
  command
    .exitOverride()
    .showHelpAfterError(`Try \`${command.parent ? `${program.name()} ` : ""}${command.name()} --help\`.`)
    .configureOutput({
      writeErr: (text) => process.stderr.write(speaksToHost ? hclogLine("error", text.trim(), {}, new Date()) : text),
      outputError: (text, write) => write(text.replace(/^error: /, `${program.name()}: `)),
    });
}

// Whoever is gone takes no message; that must not become a crash.
process.stderr.on("error", () => {});
process.stdout.on("error", () => {});
try {
  await program.parseAsync();
} catch (failure) {
  if (failure instanceof CommanderError) {
    process.exitCode = failure.exitCode === 0 ? 0 : 2;
  } else {
    const text = `${program.name()}: ${failureText(failure)}`;
    // Only where somebody reads it; a log keeps its lines.
    const shown = `${process.stderr.isTTY ? fitted(text, process.stderr.columns) : text}\n`;
    process.stderr.write(speaksToHost ? hclogLine("error", text, {}, new Date()) : shown);
    process.exitCode = exitCode(failure);
  }
}
