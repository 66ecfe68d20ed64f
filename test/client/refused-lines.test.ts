import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { failureOf } from "../contract/said.ts";
import { HANDSHAKE } from "./started-client.ts";
import { StubPlugin } from "./stub-plugin.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gpt"));
});

afterEach(() => rmSync(directory, { recursive: true }));

const MUX = { grpcBrokerMultiplex: true };
const NO_MUX = "client requested gRPC broker multiplexing but plugin does not support the feature";

/** What a plugin says, and what go-plugin's host says then, to the last word. */
const REFUSALS: [line: string, options: Partial<ClientOptions>, says: string][] = [
  ["1|1|unix", {}, "Unrecognized remote plugin message: 1|1|unix"],
  ["x|1|unix|/s|grpc|", {}, 'error parsing core protocol version: strconv.Atoi: parsing "x": invalid syntax'],
  [
    "2|1|unix|/s|grpc|",
    {},
    "incompatible core API version with plugin. Plugin version: 2, Core version: 1\n\n" +
      "To fix this, the plugin usually only needs to be recompiled.\nPlease report this to the plugin author",
  ],
  ["1|y|unix|/s|grpc|", {}, 'Error parsing protocol version "y": strconv.Atoi: parsing "y": invalid syntax'],
  ["1|7|unix|/s|grpc|", {}, "incompatible API version with plugin. Plugin version: 7, Client versions: [1]"],
  ["1|1|udp|somewhere|grpc|", {}, "unknown address type: somewhere"],
  ["1|1|unix|/s|netrpc|", {}, 'unsupported plugin protocol "netrpc". Supported: [grpc]'],
  ["1|1|unix|/s", {}, 'unsupported plugin protocol "netrpc". Supported: [grpc]'],
  ["1|1|unix|/s|smoke|", {}, 'unsupported plugin protocol "smoke". Supported: [grpc]'],
  [`1|1|unix|/s|grpc|${"=".repeat(51)}`, {}, "error parsing server cert: "],
  ["1|1|unix|/s|grpc|", MUX, `${NO_MUX}; for Go plugins, you will need to update the github.com/hashicorp/go-plugin`],
  ["1|1|unix|/s|grpc||perhaps", MUX, 'error parsing "perhaps" as a boolean for gRPC broker multiplexing support'],
  ["1|1|unix|/s|grpc||false", MUX, NO_MUX],
];

describe("go-plugin's own words, and the end of the plugin, for", () => {
  test.each(REFUSALS)("%s, %j", async (line, options, says) => {
    await using plugin = new StubPlugin(directory, () => {}, `${line}\n`);
    await using client = new Client({
      handshakeConfig: HANDSHAKE,
      runnerFunc: () => plugin,
      autoMtls: false,
      ...options,
    } as ClientOptions);
    const failure = await failureOf(client.start());
    expect(failure.code).toBe("handshake-failed");
    const told = failure.message.slice("[handshake-failed] ".length);
    expect(told.slice(0, says.length)).toBe(says);
    expect(plugin.calls).toEqual(["start", "kill"]);
    expect(await client.exitReason()).toEqual({ kind: "start-failed", error: failure });
  });

  test.each([
    ["no checksum provided", { checksum: new Uint8Array(), hash: "sha256" }],
    ["no hash implementation provided", { checksum: new Uint8Array(16), hash: "md5" }],
  ])("%s", (says, secureConfig) => {
    const options = { handshakeConfig: HANDSHAKE, runnerFunc: () => {}, secureConfig } as unknown as ClientOptions;
    expect(() => new Client(options)).toThrow(
      expect.objectContaining({
        code: "bad-options",
        message: expect.stringContaining(`error verifying checksum: ${says}`),
      }),
    );
  });
});
