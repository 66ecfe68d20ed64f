import type { Reporter, TestModule } from "vitest/node";
import { TIERS } from "./tiers.ts";

/** After the last test: which tiers ran, what the others need, and one line for machines. */
export default class TierReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      let own = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        counts[state === "pending" ? "skipped" : state] += 1;
        own += state === "failed" ? 1 : 0;
      }
      // A file that could not be loaded, or whose hooks failed, holds no failed test.
      if (own === 0 && module.state() === "failed") counts.failed += 1;
    }
    counts.failed += errors.length;
    const width = Math.max(...TIERS.map(({ name }) => name.length));
    const rows = TIERS.map((tier) => {
      const state = tier.available ? `ran      ${tier.what}` : `skipped  ${tier.what}: ${tier.install}`;
      return `  ${tier.name.padEnd(width)}  ${state}`;
    });
    process.stdout.write(`\nTiers\n${rows.join("\n")}\n\n`);
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}
