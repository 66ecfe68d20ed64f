import { inject } from "vitest";

/**
 * The directory of the build, as users get it: fresh, because whoever imports this file is given a build before the
 * first test (test/tiers/build.ts).
 *
 * @throws {Error} with the compiler's words if the build failed
 */
export function built(): string {
  const build = inject("build");
  if (!build) throw new Error("A test file that needs the build must import test/tools/built.ts itself.");
  if ("failure" in build) throw new Error(build.failure);
  return build.dist;
}
