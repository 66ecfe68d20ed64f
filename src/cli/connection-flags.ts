import type { Command } from "commander";
import { type ConnectOptions, type Destination, readDestination } from "../index.ts";
import { refuse } from "./refuse.ts";

/** What commander makes of the flags that {@link addConnectionFlags} adds. */
export interface ConnectionFlags {
  identity?: string[];
  p?: string;
  l?: string;
  F?: string;
  J?: string;
  o?: string[];
  4?: true;
  6?: true;
  C?: true;
  acceptNew?: true;
  backend?: string;
}

/** Where to connect and how, as the library takes it. */
export interface FlaggedConnection {
  destination: Destination;
  options: ConnectOptions;
}

/** Each flag as it is typed, and commander's name for it. */
const FLAGS = {
  "-i": "identity",
  "-p": "p",
  "-l": "l",
  "-F": "F",
  "-J": "J",
  "-o": "o",
  "-4": "4",
  "-6": "6",
  "-C": "C",
  "--accept-new": "acceptNew",
  "--backend": "backend",
} as const satisfies Record<string, keyof ConnectionFlags | "4" | "6">;

const BACKENDS = ["auto", "ssh2", "openssh"] as const;

/**
 * Gives `command` the flags of `ssh` that say how to reach a box, and two more.
 *
 * @param heading stands above them in the help text; options that are added later stand under the usual one
 */
export function addConnectionFlags(command: Command, heading = "How to reach the box:"): Command {
  return command
    .optionsGroup(heading)
    .option("-i, --identity <file>", "a private key file to log in with; may be repeated", collect)
    .option("-p <port>", "the port of the box's SSH server")
    .option("-l <user>", "who logs in")
    .option("-F <file>", 'the OpenSSH configuration to read, or "none"')
    .option("-J <hops>", "boxes to go through: user@host:port, nearest first, joined by commas")
    .option("-o <Keyword=value>", "a setting as in ssh_config; may be repeated", collect)
    .option("-4", "connect over IPv4 only")
    .option("-6", "connect over IPv6 only")
    .option("-C", "compress what is sent")
    .option("--accept-new", "record and trust the key of a host that is seen for the first time")
    .option("--backend <name>", 'what speaks SSH: "ssh2", "openssh" or "auto" (default: "auto")')
    .optionsGroup("Options:");
}

/** Which of the flags were given, as they are typed. */
export function givenConnectionFlags(flags: ConnectionFlags): string[] {
  const given: Readonly<Record<string, unknown>> = { ...flags };
  return Object.entries(FLAGS)
    .filter(([, name]) => given[name] !== undefined)
    .map(([flag]) => flag);
}

/**
 * The connection that a destination and the flags beside it ask for. Flags go before what the destination says.
 *
 * @throws {PluginError} `bad-options` in the words of the command line
 */
export function connectionFrom(destination: string, flags: ConnectionFlags): FlaggedConnection {
  const { identity, F, J, o, C, acceptNew } = flags;
  const family = addressFamily(flags);
  const backend = chosenBackend(flags.backend);
  return {
    destination: { ...readDestination(destination), ...port(flags.p), ...user(flags.l) },
    options: {
      ...(identity && { identityFile: identity.map((file) => filled("-i", file)) }),
      ...(F !== undefined && { configFile: filled("-F", F) }),
      ...(J !== undefined && { proxyJump: filled("-J", J) }),
      ...(o && { sshOptions: o.map(setting) }),
      ...(family && { addressFamily: family }),
      ...(C && { compression: true }),
      ...(acceptNew && { strictHostKeyChecking: "accept-new" as const }),
      ...(backend && { backend }),
    },
  };
}

/** For options that may be repeated. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function port(text: string | undefined): { port?: number } {
  if (text === undefined) return {};
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > 65_535) refuse(`-p must be a port from 1 to 65535, not ${JSON.stringify(text)}.`);
  return { port: number };
}

function user(name: string | undefined): { user?: string } {
  if (name?.includes(":")) refuse("-l takes a user name, and a password has no place in it.");
  return name === undefined ? {} : { user: filled("-l", name) };
}

/** The keyword alone is repeated when it is refused: what follows it may be anything. */
function setting(text: string): string {
  if (!/^[A-Za-z][A-Za-z0-9]*\s*[=\s]\s*\S/.test(text)) {
    const [word = ""] = /^[A-Za-z0-9]*/.exec(text) ?? [];
    refuse(`-o takes a setting such as Compression=yes, and ${JSON.stringify(word)} is none.`);
  }
  return text;
}

function addressFamily(flags: ConnectionFlags): "inet" | "inet6" | undefined {
  if (flags[4] && flags[6]) refuse("-4 and -6 exclude each other.");
  if (flags[4]) return "inet";
  return flags[6] ? "inet6" : undefined;
}

function chosenBackend(name: string | undefined): ConnectOptions["backend"] {
  if (name === undefined) return undefined;
  return (
    BACKENDS.find((known) => known === name) ??
    refuse(`--backend is auto, ssh2 or openssh, not ${JSON.stringify(name)}.`)
  );
}

function filled(flag: string, value: string): string {
  return value === "" ? refuse(`${flag} must not be empty.`) : value;
}
