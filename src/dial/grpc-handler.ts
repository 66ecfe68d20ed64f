import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import createDebug from "debug";

const debug = createDebug("go-plugin-ssh:dial");

/** What answers one HTTP/2 request. */
export type Handler = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/**
 * Answers gRPC calls of the services that `routes` names. It stands in the place of Connect's `connectNodeAdapter`,
 * which lets a request without an authority throw out of the server, and prints to the console when a caller leaves.
 */
export function grpcHandler(routes: (router: ConnectRouter) => void): Handler {
  const router = createConnectRouter({
    grpc: true,
    grpcWeb: false,
    connect: false,
    acceptCompression: [compressionGzip],
  });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return (request, response) => {
    for (const end of [request, response]) end.on("error", (failure) => debug("a call ended: %s", failure.message));
    const handler = handlers.get(request.url.split("?", 1)[0] ?? "");
    if (!handler) {
      // gRPC clients read this as `unimplemented`.
      response.writeHead(404).end();
      return;
    }
    // Connect makes a URL of it. Clients on unix sockets send all sorts of things, or nothing.
    Object.defineProperty(request, "authority", { value: "localhost" });
    const answered = async () => {
      const answer = await handler(universalRequestFromNodeRequest(request, response, undefined, undefined));
      await universalResponseToNodeResponse(answer, response);
    };
    answered().catch((failure) => debug("%s: %s", handler.requestPath, failure.message));
  };
}
