#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import packageFile from "../../package.json" with { type: "json" };
import { EXIT_CODES_HELP, exitCode } from "./exit-codes.ts";
import { failureText, fitted } from "./failure-text.ts";

/** Each command is loaded when it is asked for: a shim has no use for what the demonstration needs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  shim: async () => (await import("./shim.ts")).shimCommand(),
  demo: async () => (await import("./demo.ts")).demoCommand(),
};

const program = new Command("go-plugin-ssh")
  .description(packageFile.description)
  .version(packageFile.version)
  .addHelpText("after", `\n${EXIT_CODES_HELP}`);
const asked = COMMANDS[process.argv[2] ?? ""];
for (const load of asked ? [asked] : Object.values(COMMANDS)) program.addCommand(await load());
for (const command of [program, ...program.commands]) {
  command
    .exitOverride()
    .showHelpAfterError(`Try \`${command.parent ? `${program.name()} ` : ""}${command.name()} --help\`.`)
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, `${program.name()}: `)) });
}

// A terminal that is gone takes no message; it must not become a crash.
process.stderr.on("error", () => {});
try {
  await program.parseAsync();
} catch (failure) {
  if (failure instanceof CommanderError) {
    process.exitCode = failure.exitCode === 0 ? 0 : 2;
  } else {
    const text = `${program.name()}: ${failureText(failure)}`;
    // Only where somebody reads it; a log keeps its lines.
    process.stderr.write(`${process.stderr.isTTY ? fitted(text, process.stderr.columns) : text}\n`);
    process.exitCode = exitCode(failure);
  }
}
