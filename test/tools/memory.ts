import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

/** How many bytes this process holds on to, without what nobody needs any more. */
export function heldMemory(): number {
  gc();
  // Buffers are freed in the background; a second collection waits for that.
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
