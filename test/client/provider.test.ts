import { basename } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import { embeddedKind, localKind, opensshKind, type RunnerKind } from "../contract/runner-kinds.ts";
import {
  type Block,
  type SchemaResponse,
  SchemaResponseSchema,
  Provider as Version5,
} from "../plugins/gen/tfplugin5_pb.ts";
import { Provider as Version6 } from "../plugins/gen/tfplugin6_pb.ts";
import { hasTier } from "../tiers/tiers.ts";
import { findProvider } from "../tools/find-provider.ts";

/** A provider may be a program of 700 MB that takes a while to come from the disk. */
const LIMIT_MS = 4 * 60_000;

const provider = findProvider();
const farKind = hasTier("openssh") ? opensshKind() : embeddedKind;

describe.skipIf(!provider)("a provider of Terraform's", () => {
  test("gives its whole schema over SSH, the same as without", { timeout: LIMIT_MS }, async () => {
    const far = await visit(farKind);
    const near = await visit(localKind);
    const told = ({ startMs, callMs }: Visit) => `start ${startMs} ms, schema ${callMs} ms`;
    const size = `${far.bytes} bytes, ${far.attributes} attributes`;
    console.log(`${basename(provider ?? "")}, ${size}: ${told(far)} over SSH; ${told(near)} locally`);
    expect(far.attributes).toBeGreaterThan(0);
    expect(far.names.length).toBeGreaterThan(0);
    expect([far.names, far.attributes, far.bytes]).toEqual([near.names, near.attributes, near.bytes]);
  });
});

/** What came of one start, one call and one end. */
interface Visit {
  /** Of all that it knows, sorted. */
  names: string[];
  attributes: number;
  /** How long the answer was, what is not in our .proto included. */
  bytes: number;
  startMs: number;
  callMs: number;
}

async function visit(kind: RunnerKind): Promise<Visit> {
  await using bench = await kind.open();
  let answered: string | undefined;
  await using client = new Client({
    handshakeConfig: {
      magicCookieKey: "TF_PLUGIN_MAGIC_COOKIE",
      magicCookieValue: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
    },
    versionedPlugins: { 5: {}, 6: {} },
    autoMtls: true,
    startTimeoutMs: 120_000,
    shutdownTimeoutMs: 20_000,
    runnerFunc: ({ environment }) => {
      answered = environment.PLUGIN_CLIENT_CERT;
      return bench.runner({ command: [provider ?? ""], environment });
    },
  });
  const began = performance.now();
  const transport = await client.start();
  const started = performance.now();
  expect(answered).toContain("BEGIN CERTIFICATE");
  await client.ping();
  const asked = performance.now();
  const answer =
    client.negotiatedVersion === 6
      ? await createClient(Version6, transport).getProviderSchema({})
      : await createClient(Version5, transport).getSchema({});
  const callMs = Math.round(performance.now() - asked);
  expect(answer.diagnostics).toEqual([]);
  await client.kill();
  expect(await client.wait()).toEqual({ code: 0, signal: null });
  return { ...count(answer), startMs: Math.round(started - began), callMs };
}

/** Goes through all of it. */
function count(answer: SchemaResponse): Pick<Visit, "names" | "attributes" | "bytes"> {
  const { resources, dataSources, ephemeralResources, functions } = answer;
  const schemas = [resources, dataSources, ephemeralResources].flatMap((map) => Object.values(map));
  if (answer.provider) schemas.push(answer.provider);
  return {
    names: [resources, dataSources, ephemeralResources, functions].flatMap((map) => Object.keys(map)).sort(),
    bytes: toBinary(SchemaResponseSchema, answer).length,
    attributes: schemas.reduce((sum, { block }) => sum + attributesOf(block), 0),
  };
}

function attributesOf(block: Block | undefined): number {
  if (!block) return 0;
  return block.attributes.length + block.blocks.reduce((sum, nested) => sum + attributesOf(nested.block), 0);
}
