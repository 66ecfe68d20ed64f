import { create } from "@bufbuild/protobuf";
import { SumRequestSchema } from "../../test/plugins/gen/kv_pb.ts";
import type { Row } from "./row.ts";
import { took } from "./took.ts";

/** What gRPC programs send in one message of a stream. */
const MESSAGE = 32 * 1024;
/** A field that `kv` does not know; it is read all the same. Its own request carries a number only. */
const UNKNOWN_FIELD = { no: 15, wireType: 2 };

/** A stream of 32 KiB messages from the plugin. */
export const down: Row = {
  name: "down",
  what: "a stream of 32 KiB messages from the plugin to the host",
  figures: [{ name: "stream to host", unit: "MB/s" }],
  measure: async ({ scale, autoMtls, hosted }) => {
    const { kv } = await hosted({ program: "kv", autoMtls });
    let bytes = 0;
    const ms = await took(async () => {
      const messages = kv.count({ from: 1, to: scale.streamBytes / MESSAGE, size: MESSAGE });
      for await (const { payload } of messages) bytes += payload.length;
    });
    return [bytes / ms / 1000];
  },
};

/** A stream of 32 KiB messages to the plugin. */
export const up: Row = {
  name: "up",
  what: "a stream of 32 KiB messages from the host to the plugin",
  figures: [{ name: "stream to plugin", unit: "MB/s" }],
  measure: async ({ scale, autoMtls, hosted }) => {
    const { kv } = await hosted({ program: "kv", autoMtls });
    const count = scale.streamBytes / MESSAGE;
    const ms = await took(async () => {
      const { total } = await kv.sum(messages(count));
      if (total !== BigInt(count)) throw new TypeError(`Of ${count} messages the plugin got ${total}.`);
    });
    return [scale.streamBytes / ms / 1000];
  },
};

async function* messages(count: number) {
  const data = withLength(new Uint8Array(MESSAGE));
  const message = create(SumRequestSchema, { n: 1n });
  message.$unknown = [{ ...UNKNOWN_FIELD, data }];
  for (let n = 0; n < count; n += 1) yield message;
}

/** As the field looks on the wire: its length in groups of seven bits, then the bytes. */
function withLength(bytes: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = bytes.length; rest > 0; rest >>>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.from(length), bytes]);
}
