import { PassThrough, Writable } from "node:stream";
import { Code, ConnectError, createRouterTransport, type Transport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { GRPCStdio, StdioData_Channel } from "../../src/dial/gen/plugin_pb.ts";
import { syncStdio } from "../../src/dial/sync-stdio.ts";

const { STDOUT, STDERR, INVALID } = StdioData_Channel;
const NEVER = new AbortController().signal;

/** A plugin that prints `pieces` and then ends the stream in `how`. */
function plugin(pieces: [channel: number, text: string][], how?: () => never): Transport {
  return createRouterTransport(({ service }) => {
    service(GRPCStdio, {
      async *streamStdio() {
        for (const [channel, text] of pieces) yield { channel: channel as 0, data: new TextEncoder().encode(text) };
        how?.();
      },
    });
  });
}

async function textOf(stream: PassThrough): Promise<string> {
  stream.end();
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

test("gives each channel to its own writable, in order, and drops what belongs to none", async () => {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const transport = plugin([
    [STDOUT, "one "],
    [STDERR, "three "],
    [INVALID, "nothing"],
    [7, "nothing"],
    [STDOUT, "two"],
    [STDERR, "four"],
  ]);
  await syncStdio(transport, { stdout, stderr }, NEVER);
  expect(await textOf(stdout)).toBe("one two");
  expect(await textOf(stderr)).toBe("three four");
});

test("reads to the end without anybody who wants it", async () => {
  let last = false;
  const transport = createRouterTransport(({ service }) => {
    service(GRPCStdio, {
      async *streamStdio() {
        for (let n = 0; n < 1_000; n++) yield { channel: STDOUT, data: new Uint8Array(1024) };
        last = true;
      },
    });
  });
  await syncStdio(transport, {}, NEVER);
  expect(last).toBe(true);
});

test("waits for a slow writable, and loses nothing", async () => {
  const taken: string[] = [];
  const slow = new Writable({
    highWaterMark: 1,
    write: (chunk, _encoding, done) => {
      taken.push(String(chunk));
      setImmediate(done);
    },
  });
  await syncStdio(plugin([..."abcdefghij"].map((letter) => [STDOUT, letter])), { stdout: slow }, NEVER);
  expect(taken.join("")).toBe("abcdefghij");
});

test("goes on reading when a writable was closed", async () => {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  stdout.destroy();
  await syncStdio(
    plugin([
      [STDOUT, "lost"],
      [STDERR, "kept"],
    ]),
    { stdout, stderr },
    NEVER,
  );
  expect(await textOf(stderr)).toBe("kept");
});

test.each([Code.Unimplemented, Code.Unavailable, Code.Canceled, Code.Internal])(
  "never rejects, whatever ends the stream: code %i",
  async (code) => {
    const stdout = new PassThrough();
    const transport = plugin([[STDOUT, "before"]], () => {
      throw new ConnectError("over", code);
    });
    await syncStdio(transport, { stdout }, NEVER);
    expect(await textOf(stdout)).toBe("before");
  },
);
