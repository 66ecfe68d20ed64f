import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { Command } from "commander";
import type { LogLevel } from "../client/log/logger.ts";
import { type Address, formatAddress, PluginError } from "../index.ts";
import { hostVariables, KNOWN_HOSTS, wordsOf } from "../shim/host-variables.ts";
import type { StartedOnBox } from "../shim/on-box.ts";
import { attend, START_TIMEOUT_SECONDS } from "./attend.ts";
import { cookieOf, versionsOf } from "./host-flags.ts";
import { logLevelOption } from "./log-level.ts";
import { addPluginFlags, FORWARD_SETS_HELP, type PluginFlags, settingsFrom } from "./plugin-flags.ts";
import { refuse } from "./refuse.ts";

interface RunFlags extends PluginFlags {
  cookie?: string;
  host?: string;
  protocolVersions?: string;
  clientCert?: string;
  json?: true;
  logLevel: LogLevel;
}

/** `go-plugin-ssh run`: a plugin on a box, for people. */
export function runCommand(): Command {
  return addPluginFlags(new Command("run"), START_TIMEOUT_SECONDS)
    .summary("start a plugin on a box, for people")
    .description("start a plugin on a box and tell where it is reached from here")
    .argument("<destination>", "user@host, ssh://user@host:port, or an alias of ~/.ssh/config")
    .argument("<command...>", "after `--`: the plugin on the box and its arguments")
    .option("--cookie <name=value>", "the magic cookie, without which a plugin refuses to start")
    .option("--host <name>", `the cookie and the versions of a known host: ${KNOWN_HOSTS.join(", ")}`)
    .option("--protocol-versions <list>", "the versions to offer, joined by commas (default: 1, or the host's)")
    .option("--client-cert <file>", "ask for TLS: a certificate in PEM whose owner alone may connect")
    .option("--json", "print what was started as one line of JSON")
    .addOption(logLevelOption())
    .addHelpText(
      "after",
      `
It keeps running, shows the plugin's log on stderr, and ends the plugin on
Ctrl-C.

${FORWARD_SETS_HELP}

Examples:
  $ go-plugin-ssh run build-7 --host terraform -- /opt/terraform-provider-aws
  $ go-plugin-ssh run deploy@build-7 -i ~/.ssh/build --cookie MY_PLUGIN=hello \\
      -- /opt/my-plugin --verbose`,
    )
    .action(run);
}

async function run(destination: string, command: string[], flags: RunFlags): Promise<void> {
  const settings = settingsFrom(destination, command, flags);
  const { clientCert, json, logLevel } = flags;
  const variables = hostVariables({
    ...words(flags),
    certificatePem: clientCert === undefined ? undefined : readCertificate(clientCert),
    forwardEnv: settings.forwardEnv ?? [],
  });
  const announce = (started: StartedOnBox, address: Address) => {
    process.stdout.write(json ? `${JSON.stringify(facts(started, address))}\n` : told(facts(started, address)));
  };
  process.exitCode = await attend({ settings, variables, logLevel, announce });
}

function words({ cookie, host, protocolVersions }: RunFlags) {
  if (cookie !== undefined && host !== undefined) refuse("--cookie and --host exclude each other.");
  if (cookie === undefined && host === undefined) {
    refuse("A plugin starts only if it is shown its cookie.", "Give --host <name>, or --cookie NAME=VALUE.");
  }
  const known = host === undefined ? undefined : wordsOf(host);
  return {
    cookie: cookie === undefined ? (known?.cookie ?? refuse("There is no cookie.")) : cookieOf(cookie),
    versions: protocolVersions === undefined ? (known?.versions ?? [1]) : versionsOf(protocolVersions),
  };
}

function facts({ runner, handshake }: StartedOnBox, address: Address) {
  const der = handshake.certificate;
  return {
    network: address.network,
    address: formatAddress(address),
    protocol: handshake.protocol,
    protocolVersion: handshake.appVersionNumber,
    /** As PEM; `null` where the plugin serves without TLS. */
    certificate: der ? new X509Certificate(der).toString() : null,
    plugin: runner.id,
  };
}

function told({ network, address, protocol, protocolVersion, certificate, plugin }: ReturnType<typeof facts>): string {
  const lines = [
    `plugin       ${plugin}`,
    `address      ${network} ${address}`,
    `protocol     ${protocol}, version ${protocolVersion}`,
    `certificate  ${certificate === null ? "none: it serves without TLS" : `\n${certificate.trimEnd()}`}`,
  ];
  return `${lines.join("\n")}\n`;
}

function readCertificate(file: string): string {
  try {
    return new X509Certificate(readFileSync(file)).toString();
  } catch (cause) {
    throw new PluginError("config-error", `${JSON.stringify(file)} is no certificate: ${(cause as Error).message}.`, {
      cause,
      hint: "--client-cert takes a file in PEM, such as `openssl req -x509` writes.",
    });
  }
}
