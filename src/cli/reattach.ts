import { Command } from "commander";
import type { LogLevel } from "../client/log/logger.ts";
import { type Address, formatAddress, PluginError } from "../index.ts";
import { hostVariables, wordsOf } from "../shim/host-variables.ts";
import type { StartedOnBox } from "../shim/on-box.ts";
import { attend, START_TIMEOUT_SECONDS, say } from "./attend.ts";
import { cookieOf, versionsOf } from "./host-flags.ts";
import { logLevelOption } from "./log-level.ts";
import { addPluginFlags, FORWARD_SETS_HELP, type PluginFlags, settingsFrom } from "./plugin-flags.ts";
import { quoted } from "./quoted.ts";
import { refuse } from "./refuse.ts";

interface ReattachFlags extends PluginFlags {
  provider?: string;
  cookie?: string;
  protocolVersions?: string;
  json?: true;
  logLevel: LogLevel;
}

/** `go-plugin-ssh reattach`: one plugin process on a box for many runs of a host. */
export function reattachCommand(): Command {
  return addPluginFlags(new Command("reattach"), START_TIMEOUT_SECONDS, true)
    .summary("one plugin on a box for many runs of a host")
    .description("start a plugin on a box once, and print what Terraform and OpenTofu need to use it in many runs")
    .argument("<destination>", "user@host, ssh://user@host:port, or an alias of ~/.ssh/config")
    .argument("<command...>", "after `--`: the plugin on the box and its arguments")
    .option("--provider <source>", "the provider's source address, for example hashicorp/aws")
    .option("--cookie <name=value>", "the magic cookie (default: Terraform's)")
    .option("--protocol-versions <list>", "the versions to offer, joined by commas (default: 5,6)")
    .option("--json", "print go-plugin's general form of one plugin, as JSON, and nothing else")
    .addOption(logLevelOption())
    .addHelpText(
      "after",
      `
It keeps running, shows the plugin's log on stderr, and ends the plugin on
Ctrl-C. There is no TLS between Terraform and the plugin then, but SSH between
the machines; the socket here is in a directory that only you can enter.

${FORWARD_SETS_HELP}

Examples:
  $ go-plugin-ssh reattach build-7 --provider hashicorp/aws -- \\
      /opt/terraform-provider-aws
  $ go-plugin-ssh reattach build-7 --json --cookie MY_PLUGIN=hello \\
      --protocol-versions 1 -- /opt/my-plugin`,
    )
    .action(reattach);
}

async function reattach(destination: string, command: string[], flags: ReattachFlags): Promise<void> {
  const { provider, json, logLevel } = flags;
  if (provider === undefined && !json) refuse("--provider is missing: the source address, for example hashicorp/aws.");
  if (provider !== undefined) checkProvider(provider);
  if (flags.tcp) {
    refuse("--tcp would let every user of this machine in: no TLS is between a host that reattaches and the plugin.");
  }
  const settings = settingsFrom(destination, command, flags);
  const known = wordsOf("terraform");
  const variables = hostVariables({
    cookie: flags.cookie === undefined ? known.cookie : cookieOf(flags.cookie),
    versions: flags.protocolVersions === undefined ? known.versions : versionsOf(flags.protocolVersions),
    forwardEnv: settings.forwardEnv ?? [],
  });
  process.exitCode = await attend({
    settings,
    variables,
    logLevel,
    check: refuseUnusable,
    announce: (started, address) => {
      const config = reattachConfig(started, address);
      const text = JSON.stringify(json || provider === undefined ? config : { [provider]: config });
      process.stdout.write(json ? `${text}\n` : `${text}\n\nexport TF_REATTACH_PROVIDERS=${quoted(text)}\n`);
      say(`${started.runner.id} serves; Ctrl-C ends it.`);
    },
  });
}

/**
 * What go-plugin's hosts take. The pid must be one that lives here, so it is ours; and with `Test` they neither end the
 * plugin nor us.
 */
function reattachConfig({ handshake }: StartedOnBox, address: Address) {
  return {
    Protocol: handshake.protocol,
    ProtocolVersion: handshake.appVersionNumber,
    Pid: process.pid,
    Test: true,
    Addr: { Network: address.network, String: formatAddress(address) },
  };
}

function refuseUnusable({ handshake }: StartedOnBox): void {
  if (handshake.hasCertificate) {
    throw new PluginError("handshake-failed", "The plugin serves TLS, which no host expects that reattaches.");
  }
}

/** Each host completes a short address in its own way, so it stays as it was given. */
function checkProvider(source: string): void {
  if (/^([\w.:-]+\/)?[\w-]+\/[\w-]+$/.test(source)) return;
  refuse(`--provider takes a source address such as hashicorp/aws, not ${JSON.stringify(source)}.`);
}
