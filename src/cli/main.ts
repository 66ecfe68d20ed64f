#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import packageFile from "../../package.json" with { type: "json" };
import { demoCommand } from "./demo.ts";
import { exitCode } from "./exit-codes.ts";

const program = new Command("go-plugin-ssh")
  .description(packageFile.description)
  .version(packageFile.version)
  .exitOverride()
  .addCommand(demoCommand().exitOverride())
  .addHelpText(
    "after",
    "\nExit codes: 0 done, 1 failed, 2 usage, 76 handshake, 77 authentication, 78 configuration, 124 timeout, 255 SSH.",
  );

try {
  await program.parseAsync();
} catch (failure) {
  if (failure instanceof CommanderError) {
    process.exitCode = failure.exitCode === 0 ? 0 : 2;
  } else {
    process.stderr.write(`go-plugin-ssh: ${failure instanceof Error ? failure.message : String(failure)}\n`);
    process.exitCode = exitCode(failure);
  }
}
