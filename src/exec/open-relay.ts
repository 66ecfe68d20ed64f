import type { Duplex } from "node:stream";
import { type Address, formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { endChannel, startRelay } from "./relay-program.ts";
import { RelayStream } from "./relay-stream.ts";
import type { RelayTool } from "./relay-tool.ts";
import type { Exec } from "./run-program.ts";

/** A program starts and connects on its own machine; a loaded one may take its time. */
const OPEN_MS = 30_000;

/** How long a relay may be waited for. */
export interface RelayLimits {
  signal?: AbortSignal | undefined;
  /** Aborts when the box cannot be reached any more, which also breaks what is open. */
  lost: AbortSignal;
}

/**
 * Connects to an address of the box by a program that runs there, in an exec channel of its own. When it resolves, an
 * interpreter is connected; of the other tools that shows with the first byte or the end of the stream.
 *
 * @throws {PluginError} `forward-failed` if nobody listens there, `timeout`, `aborted`, or what `exec` threw
 */
export function openRelay(exec: Exec, tool: RelayTool, to: Address, { signal, lost }: RelayLimits): Promise<Duplex> {
  const where = formatAddress(to);
  const onTimeout = () => new PluginError("timeout", `The relay to ${where} did not connect within ${OPEN_MS} ms.`);
  return within(
    { signal, timeoutMs: OPEN_MS, onTimeout, until: [lost] },
    async (over) => {
      const relay = await startRelay(exec, { tool, task: "connect", address: to }, over);
      const { channel, output, word } = relay;
      if (word === "open") return new RelayStream(relay, lost);
      endChannel(channel);
      output.resume();
      const why = word.replace(/^failed /, "");
      throw new PluginError("forward-failed", `The relay on the box could not connect to ${where}: ${why}.`, {
        hint: "The plugin may have ended, or it does not listen there.",
      });
    },
    (late) => late.destroy(),
  );
}
