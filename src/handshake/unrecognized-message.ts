import { PluginError } from "../contract/errors.ts";
import { harmless } from "../lifetime/tail.ts";
import { foreign } from "./foreign-text.ts";

/** Why a line was not recognised, as far as that is known. */
export interface Unrecognized {
  /** True if the stream ended, or the process, before there was a line. @default false */
  ended?: boolean | undefined;
  /** What `Runner.diagnose` says about it. @default "" */
  diagnosis?: string | undefined;
  /** The failure of the stream, if there was one. */
  cause?: unknown;
}

/** go-plugin logs a failed initialisation on stderr and exits with 0. */
const NOTHING_CAME =
  "Look at the plugin's stderr: one that cannot initialise says why there, and may exit with status 0 all the same.";
const NOISE_CAME = "The first line on the plugin's stdout must be the handshake, so nothing may be printed before it.";

/** go-plugin's error for a plugin whose first output is no handshake line, or that wrote none. */
export function unrecognizedMessage(line: string, { ended, diagnosis = "", cause }: Unrecognized = {}): PluginError {
  const parts = [`Unrecognized remote plugin message: ${foreign(line)}`];
  if (ended) parts.push("Failed to read any lines from plugin's stdout");
  if (diagnosis.trim() !== "") parts.push(harmless(diagnosis.trim()));
  return new PluginError("handshake-failed", parts.join("\n"), { hint: ended ? NOTHING_CAME : NOISE_CAME, cause });
}
