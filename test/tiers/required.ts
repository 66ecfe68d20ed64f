import { requiredTiers, TIERS } from "./tiers.ts";

/** Before the first test: a tier that is required and missing is a failure, not a skip. */
export default function setup(): void {
  const known = new Set(TIERS.map(({ name }) => name));
  const problems = requiredTiers().flatMap((name) => {
    if (!known.has(name)) return [`${name}: there is no such tier`];
    const tier = TIERS.find((one) => one.name === name);
    return tier?.available ? [] : [`${name}: ${tier?.install}`];
  });
  if (problems.length > 0) throw new TypeError(`Required tiers are missing:\n  ${problems.join("\n  ")}`);
}
