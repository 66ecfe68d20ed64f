import type { ConnectRouter } from "@connectrpc/connect";
import { Host } from "./gen/demo_pb.ts";

/** The service of the host's that the plugin calls. */
export function serveHost(router: ConnectRouter): void {
  router.service(Host, { greet: ({ text }) => ({ text: `The host greets ${text}.` }) });
}
