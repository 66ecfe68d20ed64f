import { Command } from "commander";
import { type CarryMode, type ShimSettings, START_TIMEOUT_MS } from "../shim/settings.ts";
import { addPluginFlags, FORWARD_SETS_HELP, oneOf, type PluginFlags, settingsFrom } from "./plugin-flags.ts";
import { refuse } from "./refuse.ts";

interface ShimFlags extends PluginFlags {
  cookie?: string;
  carry?: CarryMode;
  whenHostDies?: "end" | "stay";
  install?: string;
  uninstall?: string;
  node?: string;
  json?: true;
}

/** `go-plugin-ssh shim`: stands in the place of a plugin, for hosts that only know how to start a local program. */
export function shimCommand(): Command {
  return addPluginFlags(new Command("shim"), START_TIMEOUT_MS / 1000)
    .summary("stand in the place of a plugin on a box")
    .description("stand in the place of a plugin that runs on a box, for any host that is built on go-plugin")
    .argument("[destination]", "user@host, ssh://user@host:port, or an alias of ~/.ssh/config")
    .argument("[command...]", "after `--`: the plugin on the box and its arguments")
    .option("--cookie <name>", "the variable that holds the host's magic cookie (default: found by its place)")
    .option(
      "--carry <mode>",
      'how connections get across: "pass" (bytes as they are), "terminate" (rewrite the broker\'s addresses), "auto" (default: "auto")',
      oneOf("pass", "terminate", "auto"),
    )
    .option(
      "--when-host-dies <what>",
      '"end" the plugin, or "stay" (default: end; stay under Nomad)',
      oneOf("end", "stay"),
    )
    .option("--install <path>", "write an executable that a host can start, and say what to put where")
    .option("--uninstall <path>", "remove what --install wrote")
    .option("--node <path>", "with --install: the Node that runs it (default: this one)")
    .option("--json", "with --install: tell what was written as JSON")
    .addHelpText(
      "after",
      `
Hosts start it, not people: it prints one handshake line and nothing else.
Nothing of the host's environment travels but go-plugin's own variables.

${FORWARD_SETS_HELP}

Examples:
  $ go-plugin-ssh shim --install ~/tf/terraform-provider-aws deploy@build-7 \\
      --forward-env-set aws -- /opt/terraform-provider-aws
  $ go-plugin-ssh shim --uninstall ~/tf/terraform-provider-aws
  $ go-plugin-ssh shim build-7 -i ~/.ssh/build -- /opt/vault-plugin -v`,
    )
    .action(shim);
}

async function shim(destination: string | undefined, words: string[], flags: ShimFlags): Promise<void> {
  const { uninstall, install } = flags;
  if (uninstall !== undefined) {
    const isAlone = Object.keys(flags).length === 1 && destination === undefined;
    if (!isAlone) refuse("--uninstall takes a path and nothing else.");
    const { uninstallShim } = await import("../shim/install/uninstall.ts");
    return uninstallShim(uninstall);
  }
  const settings = settingsOf(destination, words, flags);
  if (install !== undefined) {
    const { tellInstalled } = await import("./tell-installed.ts");
    return tellInstalled(install, settings, flags);
  }
  const [flag] = (["node", "json"] as const).filter((name) => flags[name] !== undefined);
  if (flag) refuse(`--${flag} is of no use without --install.`);
  const { runShim } = await import("../shim/main.ts");
  await runShim(settings);
}

function settingsOf(destination: string | undefined, command: string[], flags: ShimFlags): ShimSettings {
  if (destination === undefined) refuse("A destination is missing: `go-plugin-ssh shim <destination> -- <command>`.");
  if (command.length === 0) refuse("The command is missing: what runs on the box goes after `--`.");
  const { cookie, carry, whenHostDies } = flags;
  return {
    ...settingsFrom(destination, command, flags),
    ...(cookie !== undefined && { cookie }),
    ...(carry && { carry }),
    ...(whenHostDies && { whenHostDies }),
  };
}
