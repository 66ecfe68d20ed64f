import { readFileSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { buildImage, IMAGES, SUITES } from "../servers/docker.ts";
import { hasTier } from "./tiers.ts";

/** How a test file says that it needs the images: it imports `test/servers/container.ts`. */
const NEEDS_IMAGES = /from "[^"]*\/container\.ts"/;

declare module "vitest" {
  interface ProvidedContext {
    /** Whether the images of `docker/` are there, or why not. */
    images: { built: true } | { failure: string };
  }
}

/**
 * Before the first test: the engine has the images of `docker/`, as they are now, if a test of this run needs them. An
 * image that cannot be made is told to these tests, so that the others can run.
 */
export default function setup(project: TestProject): void {
  const files = project.vitest.state.getPaths();
  if (!files.some((file) => NEEDS_IMAGES.test(readFileSync(file, "utf8"))) || !hasTier("container")) return;
  try {
    for (const suite of SUITES) for (const image of IMAGES) buildImage(image, suite);
    project.provide("images", { built: true });
  } catch (failure) {
    const { stdout, stderr, message } = failure as { stdout?: string; stderr?: string; message: string };
    const hint = `Without a registry, as root: docker/base.sh ${SUITES.join(" ")}`;
    project.provide("images", { failure: `An image could not be made.\n${stdout ?? ""}${stderr ?? message}\n${hint}` });
  }
}
