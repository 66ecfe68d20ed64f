import { afterEach, describe, expect, test, vi } from "vitest";
import { resolveSettings } from "../../../src/connect/config/resolve-settings.ts";
import { readDestination } from "../../../src/connect/destination.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { Random } from "../../tools/random.ts";
import { Scratch } from "../scratch.ts";
import { ALIASES, ALL, type GeneratedConfig, generateConfig, SMALL } from "./generated-configs.ts";
import { COMPARED, fromSsh, inOpenSshWords } from "./in-openssh-words.ts";
import { sshSays } from "./ssh-says.ts";

const CONFIGS = 120;

/** What `ssh` does where nothing is configured. */
const STANDARD = (hasTier("openssh") && sshSays(["-F", "none", "--", "localhost"])) || new Map<string, string[]>();

interface Question {
  destination: string;
  sshOptions: string[];
}

afterEach(() => vi.unstubAllEnvs());

describe.skipIf(!hasTier("openssh"))("generated configurations", () => {
  test("are resolved as ssh -G does", { timeout: 600_000 }, async () => {
    vi.stubEnv("GPS_TEST_KEYS", "/keys/by variable");
    vi.stubEnv("GPS_TEST_AGENT", "/run/agent by variable");
    vi.stubEnv("GPS_TEST_NOTHING", undefined);
    const random = new Random(5);
    const { usable, told } = await compare(random, (directory) => generateConfig(random, directory, ALL));
    expect(usable).toBeGreaterThanOrEqual(100);
    // Each one was other than its default somewhere, or nothing would have been compared.
    expect(told).toEqual([...COMPARED].sort());
  });

  test("are resolved in the same way without ssh, if they keep to a few keywords", { timeout: 600_000 }, async () => {
    vi.stubEnv("PATH", "/nonexistent");
    const random = new Random(7);
    const make = (directory: string) => generateConfig(random, directory, SMALL, { matches: false });
    const { usable, told } = await compare(random, make);
    expect(usable).toBeGreaterThanOrEqual(100);
    expect(told).toEqual(["hostname", "identityfile", "port", "proxyjump", "user"]);
  });
});

/** Compares what we connect with to what `ssh -G` says, for three questions about each of many configurations. */
async function compare(
  random: Random,
  make: (directory: string) => GeneratedConfig,
): Promise<{ usable: number; told: string[] }> {
  const [usable, told] = [new Set<number>(), new Set<string>()];
  for (let number = 0; number < CONFIGS; number += 1) {
    await using scratch = await Scratch.make();
    const { files, main } = make(scratch.directory);
    for (const [name, text] of files) await scratch.put(name, text);
    const configFile = scratch.path(main);
    for (const question of random.times(3, () => ask(random))) {
      const said = sshSays(argumentsFor(configFile, question));
      const shown = `${JSON.stringify(question)}\n${[...files].join("\n--\n")}`;
      const { destination, sshOptions } = question;
      const resolving = resolveSettings(destination, { configFile, sshOptions });
      if (!said) {
        await expect(resolving, shown).rejects.toMatchObject({ code: "config-error" });
        continue;
      }
      const expected = fromSsh(said, STANDARD, readDestination(destination).host);
      expect(inOpenSshWords(await resolving), shown).toEqual(expected);
      usable.add(number);
      for (const keyword of Object.keys(expected)) told.add(keyword);
    }
  }
  return { usable: usable.size, told: [...told].sort() };
}

/** A destination of one of the forms, and sometimes a setting beside it. */
function ask(random: Random): Question {
  const alias = random.pick(ALIASES);
  const destination = random.pick([alias, alias, `ann@${alias}`, `ssh://${alias}`, `ssh://bob@${alias}:2022`]);
  return {
    destination,
    sshOptions: random.pick([[], [], [], ["Port=2200"], ["User=eve", "IdentityFile=/keys/first"]]),
  };
}

function argumentsFor(configFile: string, { destination, sshOptions }: Question): string[] {
  const { host, port, user } = readDestination(destination);
  return [
    ...["-F", configFile],
    ...sshOptions.flatMap((setting) => ["-o", setting]),
    ...(port ? ["-p", String(port)] : []),
    ...(user ? ["-l", user] : []),
    ...["--", host],
  ];
}
