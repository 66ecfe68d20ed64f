import { randomBytes } from "node:crypto";
import type { SecureConfig } from "../contract/secure-config.ts";
import { closed, frame, LOADER, randomWord, readProgram } from "./loader.ts";
import { quote } from "./quote.ts";

/** What is to run on the box, and how it is looked after. */
export interface LaunchSpec {
  /** The program and its arguments. A program without a slash is looked up in the box's PATH. */
  command: readonly string[];
  /** Where it runs; relative to the login directory, which is also the default. */
  directory?: string | undefined;
  /** Exported to the plugin, besides what the box's session has. Names are checked already. */
  environment: Readonly<Record<string, string>>;
  /** Names that are unset before anything is exported, because the session may have inherited them. */
  scrub: readonly string[];
  /** Where the private directory is made first; the box's temporary directories otherwise. */
  directoryBase?: string | undefined;
  /** The group on the box, by name or number, that the private directory is shared with. @default none */
  unixSocketGroup?: string | undefined;
  /** What the program's file must be. @default anything */
  secureConfig?: SecureConfig | undefined;
  /** From TERM to KILL. */
  killGraceMs: number;
  /** How long the plugin lives without a heartbeat; 0: for ever. */
  leaseMs: number;
  /** The shell that runs it all on the box. @default "/bin/sh" */
  shell?: string | undefined;
}

/** How a plugin is looked after: what a supervisor is told before it is told of the plugin. */
export type Care = Pick<LaunchSpec, "directoryBase" | "unixSocketGroup" | "killGraceMs" | "leaseMs" | "shell">;

/** What is written to the loader's stdin, and the word by which its reports are known. */
export interface Launch {
  mark: string;
  text: string;
}

/** Turns a spec into the text that starts it: the supervisor with its settings, then the launcher with its own. */
export function launch(spec: LaunchSpec): Launch {
  const mark = randomWord();
  return { mark, text: frame(supervisor(spec, mark), launcher(spec, mark)) };
}

/** A supervisor that waits, and what completes the text that made it. */
export interface Waiting {
  /** What makes it. */
  text: string;
  /** Has it start a plugin, which must be looked after in the way that it was made for. */
  launch(spec: LaunchSpec): Launch;
}

/** The text of a supervisor that waits for its plugin, and takes heartbeats meanwhile. */
export function wait(care: Care): Waiting {
  const [mark, end] = [randomWord(), randomWord()];
  return {
    text: `${end}\n${closed(supervisor(care, mark, "1"), end)}`,
    launch: (spec) => ({ mark, text: `${end}\n${closed(launcher(spec, mark), end)}` }),
  };
}

function supervisor(spec: Care, mark: string, spare: "" | "1" = ""): string {
  return [
    assignMark(mark),
    assign("gps_shell", spec.shell ?? "/bin/sh"),
    assign("gps_loader", LOADER),
    assign("gps_name", `gp-${randomBytes(5).toString("hex")}`),
    assign("gps_base", spec.directoryBase ?? ""),
    assign("gps_share", spec.unixSocketGroup ?? ""),
    assign("gps_grace", seconds(spec.killGraceMs)),
    assign("gps_lease", seconds(spec.leaseMs)),
    assign("gps_spare", spare),
    readProgram("family.sh"),
    ...(spare ? [readProgram("await.sh")] : []),
    readProgram("supervisor.sh"),
  ].join("\n");
}

/**
 * The order matters: our own use of tools before the environment, which is meant for the plugin alone; the command
 * after it, because it is looked up in the plugin's PATH. A directory that begins with a dot makes `cd` ignore CDPATH.
 */
function launcher(spec: LaunchSpec, mark: string): string {
  const platform = "gps_platform=$(uname -sm 2>/dev/null | tr ' ' /)";
  const { secureConfig } = spec;
  const lines = ["exec </dev/null", assignMark(mark), platform, "gps_cd=1"];
  lines.push(assign("gps_hash", secureConfig?.hash ?? ""));
  if (secureConfig) {
    lines.push(assign("gps_checksum", Buffer.from(secureConfig.checksum).toString("hex")), "gps_path=$PATH");
    lines.push(assign("gps_sent", Object.keys(spec.environment).join(" ")), readProgram("checksum.sh"));
  }
  if (spec.directory) {
    const directory = spec.directory.startsWith("/") ? spec.directory : `./${spec.directory}`;
    lines.push(`cd -- ${quote(directory)} 2>/dev/null || gps_cd=`);
  }
  if (spec.scrub.length > 0) lines.push(`unset ${spec.scrub.join(" ")}`);
  for (const [name, value] of Object.entries(spec.environment)) lines.push(`export ${assign(name, value)}`);
  lines.push(`set -- ${spec.command.map(quote).join(" ")}`);
  return [...lines, readProgram("launcher.sh")].join("\n");
}

/** In two pieces: something that sends back what it is given must not be taken for a report. */
function assignMark(mark: string): string {
  const half = mark.length / 2;
  return `gps_mark=${mark.slice(0, half)}''${mark.slice(half)}`;
}

function assign(name: string, value: string): string {
  return `${name}=${value === "" ? "''" : quote(value)}`;
}

/** Shells count in whole seconds; a part of one counts as one. */
function seconds(milliseconds: number): string {
  return String(Math.ceil(milliseconds / 1000));
}
