import { TIERS } from "../test/tiers/tiers.ts";
import { type Asked, HELP, readCommandLine, UsageError } from "./command-line.ts";
import { canCount, countRoundTrips } from "./round-trips/run.ts";
import { roundTripTable } from "./round-trips/table.ts";
import { run } from "./run.ts";
import { table } from "./table.ts";

const EXIT = { failed: 1, usage: 2, unavailable: 69, interrupted: 130 };
const NEEDED = ["openssh", "go"];

process.exitCode = await main();

async function main(): Promise<number> {
  const over = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => over.abort(new Error(`${name}.`)));
  try {
    const asked = readCommandLine(process.argv.slice(2));
    if (asked.help) {
      process.stdout.write(`${HELP}\n`);
      return 0;
    }
    const missing = TIERS.filter(({ name, available }) => NEEDED.includes(name) && !available);
    if (missing.length > 0) {
      say(`something is not installed: ${missing.map(({ install }) => install).join("; ")}.`);
      return EXIT.unavailable;
    }
    if (asked.roundTrips) return await roundTrips(asked, over.signal);
    const result = await run(asked, (text) => say(text), over.signal);
    process.stdout.write(asked.json ? `${JSON.stringify(result, undefined, 2)}\n` : table(result));
    return 0;
  } catch (failure) {
    if (over.signal.aborted) return EXIT.interrupted;
    if (failure instanceof UsageError) {
      say(`${failure.message} Try \`npm run bench -- --help\`.`);
      return EXIT.usage;
    }
    say(failure instanceof Error ? (failure.stack ?? failure.message) : String(failure));
    return EXIT.failed;
  }
}

async function roundTrips(asked: Asked, signal: AbortSignal): Promise<number> {
  if (!canCount()) {
    say("long links need root on Linux, iproute2, python3 and /dev/net/tun.");
    return EXIT.unavailable;
  }
  const result = await countRoundTrips(asked, (text) => say(text), signal);
  process.stdout.write(asked.json ? `${JSON.stringify(result, undefined, 2)}\n` : roundTripTable(result));
  return 0;
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}
