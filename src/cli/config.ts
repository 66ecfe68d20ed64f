import { Command } from "commander";
import { type ExplainedSetting, type ExplainedSettings, explainSettings } from "../index.ts";
import { addConnectionFlags, type ConnectionFlags, connectionFrom } from "./connection-flags.ts";
import { interruption } from "./interruption.ts";

interface ConfigFlags extends ConnectionFlags {
  json?: true;
}

/** `go-plugin-ssh config`: tells how a box would be connected to, and who says so. */
export function configCommand(): Command {
  const command = new Command("config")
    .description("tell how a box would be connected to, and who decided about it, without connecting")
    .argument("<destination>", "user@host, ssh://user@host:port, or an alias of ~/.ssh/config")
    .option("--json", "print it as JSON, with OpenSSH's keywords as keys");
  return addConnectionFlags(command)
    .addHelpText(
      "after",
      `
Each setting comes from an option of this command line, from the URL, from the
OpenSSH configuration, or is a default. Below them stands what is configured
and not done, and what speaks SSH.

Examples:
  $ go-plugin-ssh config build-7
  $ go-plugin-ssh config -J bastion -o Compression=yes ssh://deploy@build-7:2222
  $ go-plugin-ssh config --json build-7 | jq -r .hostname.value`,
    )
    .action(config);
}

async function config(to: string, flags: ConfigFlags): Promise<void> {
  const { destination, options } = connectionFrom(to, flags);
  using interrupted = interruption((text) => process.stderr.write(`go-plugin-ssh: ${text}\n`));
  try {
    const explained = fromFlags(await explainSettings(destination, options, interrupted.signal), flags);
    process.stdout.write(flags.json ? json(explained) : text(explained, flags));
  } catch (failure) {
    throw interrupted.instead(failure);
  }
}

/** On the command line a port and a user are options, although the library takes them as part of the destination. */
function fromFlags(explained: ExplainedSettings, { p, l }: ConfigFlags): ExplainedSettings {
  const given = [...(p === undefined ? [] : ["port"]), ...(l === undefined ? [] : ["user"])];
  const settings = explained.settings.map((setting) =>
    given.includes(setting.keyword) ? { ...setting, source: "option" as const } : setting,
  );
  return { ...explained, settings };
}

function json({ settings, backend, needsOpenSsh, notices }: ExplainedSettings): string {
  const entries = settings.map(({ keyword, value, source, honoured, note }) => [
    keyword,
    { value, source, ...(honoured ? {} : { honoured }), ...(note !== "" && { note }) },
  ]);
  const rest = { backend: { value: backend, needed: needsOpenSsh }, notices };
  return `${JSON.stringify({ ...Object.fromEntries(entries), ...rest }, null, 2)}\n`;
}

function text({ settings, backend, needsOpenSsh, notices }: ExplainedSettings, flags: ConfigFlags): string {
  const done = settings.filter(({ honoured }) => honoured);
  const isTold = ({ keyword }: ExplainedSetting) =>
    [...notices, ...needsOpenSsh].some((text) => text.toLowerCase().startsWith(keyword));
  const idle = settings.filter((setting) => !setting.honoured && !isTold(setting));
  return [
    ...table(done),
    "",
    `backend ${backend}: ${reason(backend, needsOpenSsh, flags)}`,
    ...section("Not done as it says:", notices),
    ...section("Configured, and of no use to a plugin:", idle.map(idleLine)),
    "",
  ].join("\n");
}

/** Keyword, source and value in columns; the values are last, because some are long. */
function table(settings: readonly ExplainedSetting[]): string[] {
  const rows = settings.flatMap(({ keyword, value, source }) =>
    [value].flat().map((one) => ({ keyword, source, one })),
  );
  const first = Math.max(...rows.map(({ keyword }) => keyword.length));
  const second = Math.max(...rows.map(({ source }) => source.length));
  return rows.map(({ keyword, source, one }) => `${keyword.padEnd(first)}  ${source.padEnd(second)}  ${one}`);
}

function reason(backend: string, needs: readonly string[], flags: ConfigFlags): string {
  const needed = needs.join(", ");
  if (flags.backend !== undefined && flags.backend !== "auto") {
    const without = backend === "ssh2" && needed !== "" ? `; it goes without ${needed}` : "";
    return `chosen on the command line${without}`;
  }
  return needed === "" ? "nothing asks for more" : `because of ${needed}`;
}

function section(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", heading, ...lines.map((line) => `  ${line}`)];
}

function idleLine({ keyword, value, source, note }: ExplainedSetting): string {
  const shown = [value].flat().join(", ");
  return `${keyword} ${shown} (${source})${note === "" ? "" : `: ${note}`}`;
}
