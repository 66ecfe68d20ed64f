#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import packageFile from "../../package.json" with { type: "json" };
import { demoCommand } from "./demo.ts";
import { EXIT_CODES_HELP, exitCode } from "./exit-codes.ts";
import { failureText, fitted } from "./failure-text.ts";

const program = new Command("go-plugin-ssh")
  .description(packageFile.description)
  .version(packageFile.version)
  .addHelpText("after", `\n${EXIT_CODES_HELP}`);
program.addCommand(demoCommand());
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
