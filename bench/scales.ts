import type { Scale } from "./rows/row.ts";

const MEGABYTE = 1024 * 1024;

/** How much a round takes on a network: so much that it lasts longer than the noise, and not minutes. */
export function scaleFor(network: "loopback" | "wan", quick: boolean): Scale {
  if (quick) return { calls: 10, streamBytes: 4 * MEGABYTE, connections: 8, callbacks: 3 };
  return network === "loopback"
    ? { calls: 500, streamBytes: 64 * MEGABYTE, connections: 80, callbacks: 100 }
    : { calls: 15, streamBytes: 16 * MEGABYTE, connections: 40, callbacks: 5 };
}
