import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { SshRunner, type SshRunnerOptions } from "../../src/runner/ssh-runner.ts";

const command = ["/bin/true"] as const;
const destination = "ssh://nobody@box.invalid";
const connection = {} as Connection;
const pool = new ConnectionPool();
const directory = mkdtempSync(join(tmpdir(), "gpt"));
const identityFile = join(directory, "none");

afterAll(async () => {
  await pool.close();
  rmSync(directory, { recursive: true });
});

describe("the ways to a connection", () => {
  test("are three, each alone", () => {
    new SshRunner({ command, destination, identityFile });
    new SshRunner({ command, destination, pool });
    new SshRunner({ command, connection });
  });

  test("exclude each other, in the types already", () => {
    // @ts-expect-error a connection that is there needs no destination
    refused({ command, connection, destination }, /`connection` and `destination` and `pool` exclude each other/);
    // @ts-expect-error a connection that is there needs no pool
    refused({ command, connection, pool }, /exclude each other/);
    // @ts-expect-error a pool connects by its own settings
    refused({ command, destination, pool, identityFile }, /`identityFile` and `pool` exclude each other/);
    // @ts-expect-error a pool needs to know where to connect
    refused({ command, pool }, /needs a `destination`/);
    // @ts-expect-error there has to be one
    refused({ command }, /needs a `destination`, or a `connection`/);
  });

  test("are refused before anything is opened where they cannot be right", () => {
    refused({ command, destination: "box:22" }, /ssh:\/\/user@host:port/);
    refused({ command, destination: "ssh://me:s3cret@box" }, /password/i);
    refused({ command, destination, hostKeyFingerprints: ["MD5:00"] }, /hostKeyFingerprints|SHA256/);
    refused({ command, destination, connectTimeoutMs: Number.NaN }, /`connectTimeoutMs`/);
    // @ts-expect-error there is no such network
    refused({ command, destination, hostNetwork: "udp" }, /`hostNetwork` must be "unix" or "tcp", not "udp"/);
    // @ts-expect-error it is asked, not compared
    refused({ command, destination, allowAddress: "10.0.0.1" }, /`allowAddress`/);
    // @ts-expect-error host keys are always verified
    refused({ command, destination, strictHostKeyChecking: "no" }, /`strictHostKeyChecking`/);
    // @ts-expect-error there is no such option
    refused({ command, destination, inheritEnvironment: true }, /no option "inheritEnvironment"/);
    refused({ command, destination, leaseMs: 2000, heartbeatIntervalMs: 2000 }, /lease of 2000 ms/);
    expect(() => new SshRunner({ command, destination: "ssh://me:s3cret@box" })).not.toThrow("s3cret");
  });

  test("are commands of at least one word, in the types already", () => {
    // @ts-expect-error a program has to be named
    refused({ command: [], destination }, /`command`/);
    // @ts-expect-error no shell will take it apart
    refused({ command: "ls -l", destination }, /array of strings/);
  });
});

function refused(options: SshRunnerOptions, says: RegExp): void {
  expect(() => new SshRunner(options)).toThrow(
    expect.objectContaining({ name: "PluginError", code: "bad-options", message: expect.stringMatching(says) }),
  );
}
