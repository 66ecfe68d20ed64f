import { median, percentile } from "../statistics.ts";
import type { Row } from "./row.ts";
import { took } from "./took.ts";

const PAYLOAD = new Uint8Array(100);

/** Unary calls one after the other, with 100 bytes each way. */
export const unary: Row = {
  name: "unary",
  what: "a call with 100 bytes each way, one after the other",
  figures: [
    { name: "unary p50", unit: "ms" },
    { name: "unary p99", unit: "ms" },
  ],
  measure: async ({ scale, autoMtls, hosted }) => {
    const { kv } = await hosted({ program: "kv", autoMtls });
    const times: number[] = [];
    for (let n = 0; n < scale.calls; n += 1) times.push(await took(() => kv.echo({ payload: PAYLOAD })));
    return [median(times), percentile(times, 99)];
  },
};

/** Calls that carry much. grpc-go refuses requests of more than 4 MiB, go-plugin's hosts take answers of any size. */
export const large: Row = {
  name: "large",
  what: "an answer of 20 MB, and 4 MB there and back",
  figures: [
    { name: "20 MB answer", unit: "ms" },
    { name: "4 MB echo", unit: "ms" },
  ],
  measure: async ({ autoMtls, hosted }) => {
    const { kv } = await hosted({ program: "kv", autoMtls });
    const answer = await took(async () => {
      for await (const _ of kv.count({ from: 1, to: 1, size: 20_000_000 }));
    });
    const payload = new Uint8Array(4_000_000);
    return [answer, await took(() => kv.echo({ payload }))];
  },
};
