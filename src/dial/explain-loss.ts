import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";

/** The end of the stream and the news of the plugin's end come by different ways; the second is under way. */
const NEWS_MS = 2_000;

/** What is known of the connections that calls go through. */
export interface Losses {
  /** How many connections have gone so far. A call during which it grows may have failed because of that. */
  readonly losses: number;
  /** Aborts when there will be no other connection, with the reason. */
  readonly over: AbortSignal;
}

/**
 * Makes calls that fail because the connection went fail as `Unavailable`, with the reason as the cause: that the
 * plugin has ended, for example. HTTP/2 itself knows nothing of it and says `Canceled`, `Aborted` or `Internal`,
 * depending on which packet came last.
 */
export function explainLoss(link: Losses): Interceptor {
  return (next) => async (request) => {
    const before = link.losses;
    const explain = async (failure: unknown): Promise<unknown> => {
      const own = request.signal.aborted || link.losses === before;
      return own || isAnswer(failure) ? failure : unavailable(await reasonFor(link, failure));
    };
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: explained(response.message, explain) } : response;
    } catch (failure) {
      throw await explain(failure);
    }
  };
}

/** What a caller of a method sees: gRPC's word for a server that is not there, with our error as its cause. */
export function unavailable(failure: Error): ConnectError {
  return new ConnectError(failure.message, Code.Unavailable, undefined, undefined, failure);
}

/** Whether the plugin itself has said that the call failed. */
function isAnswer(failure: unknown): boolean {
  return ConnectError.from(failure).metadata.has("grpc-status");
}

async function reasonFor(link: Losses, failure: unknown): Promise<PluginError> {
  const { cause } = ConnectError.from(failure);
  const known = cause instanceof PluginError ? cause : undefined;
  // What the connection itself says of its loss is not yet why it was lost.
  if (known && known.code !== "connection-lost") return known;
  const onTimeout = () => known ?? broke(failure);
  return within({ timeoutMs: NEWS_MS, onTimeout, until: [link.over] }, () => new Promise<never>(() => {})).catch(
    (reason) => reason,
  );
}

function broke(failure: unknown): PluginError {
  const { rawMessage } = ConnectError.from(failure);
  return new PluginError("connection-lost", `The connection to the plugin broke: ${rawMessage}.`, { cause: failure });
}

async function* explained<T>(messages: AsyncIterable<T>, explain: (failure: unknown) => Promise<unknown>) {
  try {
    yield* messages;
  } catch (failure) {
    throw await explain(failure);
  }
}
