import { existsSync } from "node:fs";

/** Debian's own; another one in the PATH does not see Debian's packages. */
const DEBIAN = "/usr/bin/python3";

/** A Python that has grpcio: the one that `GO_PLUGIN_SSH_TEST_PYTHON` names, or Debian's; `undefined` if there is none. */
export function findPython(): string | undefined {
  const { GO_PLUGIN_SSH_TEST_PYTHON: named } = process.env;
  if (named) return named;
  return existsSync(DEBIAN) && existsSync("/usr/lib/python3/dist-packages/grpc") ? DEBIAN : undefined;
}
