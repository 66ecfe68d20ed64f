import { parseArgs } from "node:util";
import { ROWS } from "./rows/rows.ts";
import { WAY_NAMES, type WayName } from "./ways/way.ts";

/** What was asked for. */
export interface Asked {
  readonly json: boolean;
  /** Counts round trips instead of measuring rows. */
  readonly roundTrips: boolean;
  readonly quick: boolean;
  readonly autoMtls: boolean;
  /** Names of rows. */
  readonly only: readonly string[];
  readonly ways: readonly WayName[];
  readonly networks: readonly ("loopback" | "wan")[];
  /** How often everything is measured; 0: the default. */
  readonly rounds: number;
  readonly cipher: string;
  readonly help: boolean;
}

/** The way of using it was wrong; the message says how. */
export class UsageError extends Error {}

export const HELP = `Usage: npm run bench -- [options]

Compares five ways to the same Go plugin: a socket of this machine, the system's ssh with a
forward, and the runner's three, through a throw-away sshd. The table goes to stdout, progress
to stderr.

  --round-trips      the round trips of a start on long links, each by its name, and those of ssh -L
  --quick            one short round of each, to see that it works; its figures mean little
  --only <row>       only this row; may be given several times
  --way <name>       only this way, to profile it for example; may be given several times
  --network <name>   only loopback or wan (100 ms round trip); may be given several times
  --rounds <n>       how often each is measured (default 5 on loopback, 3 on wan, 1 with --quick)
  --mtls             with AutoMTLS, as a Client has it by default
  --cipher <name>    what SSH encrypts with (default aes128-gcm@openssh.com)
  --json             the figures as JSON
  --help             this text

Rows:
${ROWS.map(({ name, what }) => `  ${name.padEnd(13)}${what}`).join("\n")}

Exit codes: 0 measured, 1 something failed, 2 usage, 69 sshd, ssh or go is missing,
130 interrupted`;

const NETWORKS = ["loopback", "wan"] as const;

/**
 * Reads the command line.
 *
 * @throws {UsageError}
 */
export function readCommandLine(args: readonly string[]): Asked {
  const { values } = parsed(args);
  const {
    json = false,
    quick = false,
    "round-trips": roundTrips = false,
    mtls = false,
    help = false,
    only = [],
    way = [],
    network = [],
    rounds = "0",
  } = values;
  const cipher = values.cipher ?? "aes128-gcm@openssh.com";
  const names = ROWS.map(({ name }) => name);
  for (const name of only) check(names, name, "row");
  for (const name of way) check(WAY_NAMES, name, "way");
  for (const name of network) check(NETWORKS, name, "network");
  if (!/^\d{1,3}$/.test(rounds)) throw new UsageError(`--rounds takes a number, not ${JSON.stringify(rounds)}.`);
  if (!/^[\w@.-]+$/.test(cipher)) throw new UsageError(`${JSON.stringify(cipher)} is no name of a cipher.`);
  return {
    json,
    roundTrips,
    quick,
    autoMtls: mtls,
    help,
    only,
    ways: WAY_NAMES.filter((name) => way.length === 0 || way.includes(name)),
    networks: NETWORKS.filter((name) => network.length === 0 || network.includes(name)),
    rounds: Number(rounds),
    cipher,
  };
}

function parsed(args: readonly string[]) {
  const flag = { type: "boolean" } as const;
  const word = { type: "string" } as const;
  const words = { type: "string", multiple: true } as const;
  const options = {
    json: flag,
    quick: flag,
    "round-trips": flag,
    mtls: flag,
    help: flag,
    only: words,
    way: words,
    network: words,
    rounds: word,
  } as const;
  try {
    return parseArgs({ args: [...args], options: { ...options, cipher: word } });
  } catch (failure) {
    throw new UsageError(failure instanceof Error ? failure.message : String(failure));
  }
}

function check(known: readonly string[], name: string, what: string): void {
  if (!known.includes(name)) throw new UsageError(`There is no ${what} ${name}, but ${known.join(", ")}.`);
}
