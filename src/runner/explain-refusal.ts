import { forbidden } from "../connect/ssh2-errors.ts";
import { type Address, formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { type Exec, runProgram } from "../exec/run-program.ts";

const LOOK_MS = 15_000;

/** A failed connection, understood. */
export interface Refusal {
  readonly failure: unknown;
  /** Whether the server does not do such things, whatever listens there; `perhaps` where nobody can see. */
  readonly isPolicy: "yes" | "no" | "perhaps";
}

/**
 * Tells a forbidden connection from one that nobody answers. For unix sockets sshd says the same of both; looking at
 * the box tells them apart without touching the socket.
 */
export async function explainRefusal(
  failure: unknown,
  exec: Exec,
  to: Address,
  signal: AbortSignal | undefined,
): Promise<Refusal> {
  if (!(failure instanceof PluginError)) return { failure, isPolicy: "no" };
  if (failure.code === "forward-forbidden" || failure.code === "unsupported") return { failure, isPolicy: "yes" };
  if (failure.code !== "forward-failed" || to.network !== "unix") return { failure, isPolicy: "no" };
  const where = formatAddress(to);
  const { cause } = failure;
  const limits = { signal, timeoutMs: LOOK_MS };
  const { file, listening } = await runProgram(exec, "listening.sh", { gps_path: to.path }, limits).catch(
    (): Record<string, string> => ({}),
  );
  const failed = (what: string, hint: string) => new PluginError("forward-failed", what, { cause, hint });
  if (listening === "yes") {
    const what = `The server forbids connections to ${where}, where the plugin does listen`;
    return { failure: forbidden(what, to, cause), isPolicy: "yes" };
  }
  if (file === "none") {
    const hint = "The plugin may have ended, or the box's temporary files were cleaned.";
    return { failure: failed(`There is no socket ${where} on the box.`, hint), isPolicy: "no" };
  }
  if (listening === "no") {
    return { failure: failed(`Nobody listens on ${where} on the box.`, "The plugin may have ended."), isPolicy: "no" };
  }
  const what = `The server would not connect to ${where}: it may be forbidden, or nobody listens.`;
  return { failure: failed(what, forbidden("", to).hint), isPolicy: "perhaps" };
}
