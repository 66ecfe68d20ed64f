// A process of its own for the long line, so that it takes no time from the host that is measured.
import { startProxy } from "../test/tools/proxy.ts";
import type { DelayRequest } from "./delayed.ts";

process.on("message", async ({ id, target, oneWayMs }: DelayRequest) => {
  const proxy = await startProxy(target);
  proxy.setDelayMs(oneWayMs);
  process.send?.({ id, port: proxy.port });
});
process.on("disconnect", () => process.exit());
