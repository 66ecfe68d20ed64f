import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { explainLoss } from "./explain-loss.ts";
import type { Http2Link } from "./http2-link.ts";

/** For clients of any service behind `link`. Message sizes are not limited, and a lost connection says why. */
export function grpcTransport(link: Http2Link): Transport {
  return createGrpcTransport({ baseUrl: link.authority, sessionManager: link, interceptors: [explainLoss(link)] });
}
