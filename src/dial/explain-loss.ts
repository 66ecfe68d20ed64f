import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";

/** The end of the stream and the news of the plugin's end come by different ways; the second is under way. */
export const NEWS_MS = 4_000;
/** And this long, where it was waited for before, and did not come. */
const MORE_NEWS_MS = 500;
/** How long an answer may be on its way inside this process when the connection is over. */
const LAST_WORDS_MS = 500;

/** What is known of the connections that calls go through. */
export interface Losses {
  /** How many connections have gone so far. A call during which it grows may have failed because of that. */
  readonly losses: number;
  /** Aborts when there will be no other connection, with the reason. */
  readonly over: AbortSignal;
  /** What is known of a connection that went before the other side had said anything. */
  readonly early?: PluginError | undefined;
}

/**
 * Makes calls that fail because the connection went fail as `Unavailable`, with the reason as the cause: that the
 * plugin has ended, for example. HTTP/2 itself knows nothing of it and says `Canceled`, `Aborted` or `Internal`,
 * depending on which packet came last.
 */
export function explainLoss(link: Losses): Interceptor {
  let withoutNews = -1;
  const reasonOf = async (failure: unknown) => {
    const { losses } = link;
    const reason = await reasonFor(link, failure, losses === withoutNews ? MORE_NEWS_MS : NEWS_MS);
    withoutNews = losses;
    return reason;
  };
  return (next) => async (request) => {
    const before = link.losses;
    const explain = async (failure: unknown): Promise<unknown> => {
      const lost = link.losses !== before || isBreak(ConnectError.from(failure).cause);
      if (request.signal.aborted || !lost || isAnswer(failure)) return failure;
      return unavailable(await reasonOf(failure));
    };
    try {
      const response = await heard(next(request), link.over);
      return response.stream ? { ...response, message: explained(response.message, explain) } : response;
    } catch (failure) {
      throw await explain(failure);
    }
  };
}

/**
 * What `call` gives, or the reason if the link is over and nothing more is heard of the call: Node forgets a request if
 * TLS breaks below it during a write.
 */
function heard<T>(call: Promise<T>, over: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const giveUp = () => {
      timer = setTimeout(() => reject(unavailable(over.reason)), LAST_WORDS_MS);
    };
    if (over.aborted) giveUp();
    else over.addEventListener("abort", giveUp, { once: true });
    call.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      over.removeEventListener("abort", giveUp);
    });
  });
}

/** What a caller of a method sees: gRPC's word for a server that is not there, with our error as its cause. */
export function unavailable(failure: Error): ConnectError {
  return new ConnectError(failure.message, Code.Unavailable, undefined, undefined, failure);
}

/** Whether the plugin itself has said that the call failed. */
function isAnswer(failure: unknown): boolean {
  return ConnectError.from(failure).metadata.has("grpc-status");
}

async function reasonFor(link: Losses, failure: unknown, timeoutMs: number): Promise<PluginError> {
  const { cause } = ConnectError.from(failure);
  const known = cause instanceof PluginError ? cause : undefined;
  if (known && !isBreak(known)) return known;
  const onTimeout = () => link.early ?? known ?? broke(failure);
  return within({ timeoutMs, onTimeout, until: [link.over] }, () => new Promise<never>(() => {})).catch(
    (reason) => reason,
  );
}

/** Whether a connection broke, or another could not be made: that alone does not say why. */
function isBreak(cause: unknown): boolean {
  return cause instanceof PluginError && (cause.code === "connection-lost" || cause.code === "forward-failed");
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
