import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { hasTier } from "../tiers/tiers.ts";

const TOP = fileURLToPath(new URL("../..", import.meta.url));
const text = (...path: string[]) => readFileSync(join(TOP, ...path), "utf8");
const configurations = readdirSync(join(TOP, "docker", "sshd", "configurations")).map((name) =>
  name.replace(".conf", ""),
);
const compose = text("docker", "compose.yaml");

test("compose.yaml has one service for each configuration, and no two on one port", () => {
  const chosen = [...compose.matchAll(/^ {2}([\w-]+):\n(?: {4}.*\n)*? {4}environment: .*CONFIGURATION: ([\w-]+)/gm)];
  expect(chosen.map(([, service]) => service)).toEqual(chosen.map(([, , configuration]) => configuration));
  expect(chosen.map(([, service]) => service).sort()).toEqual([...configurations].sort());
  const ports = [...compose.matchAll(/127\.0\.0\.1:(\d+):22/g)].map(([, port]) => port);
  expect(ports.length).toBe(configurations.length + 4);
  expect(new Set(ports).size).toBe(ports.length);
});

test("the README names every service with its port", () => {
  const readme = text("docker", "README.md");
  const services = [...compose.matchAll(/^ {2}([\w-]+):\n(?: {4}.*\n)*? {4}ports: \["127\.0\.0\.1:(\d+):22"\]/gm)];
  expect(services.length).toBe(configurations.length + 4);
  for (const [, service, port] of services) expect(readme).toMatch(new RegExp(`\`${service}\`.*\\b${port}\\b`));
});

describe.skipIf(!hasTier("shellcheck"))("shellcheck", () => {
  test.each(["docker/base.sh", "docker/sshd/entrypoint.sh", "docker/dropbear/entrypoint.sh", ".ci/run", ".ci/engine"])(
    "finds nothing in %s",
    (name) => {
      const { stdout, status } = spawnSync("shellcheck", [join(TOP, name)], { encoding: "utf8" });
      expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
    },
  );
});
