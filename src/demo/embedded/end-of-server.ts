import { PluginError } from "../../contract/errors.ts";
import type { Box } from "./box.ts";
import type { Door } from "./door.ts";
import { killAll, outlast, survivors } from "./survivors.ts";

/** How to end a server. */
export interface CloseOptions {
  /**
   * What to do about channels, forwards, socket files and processes that are still there:
   *
   * - `"fail"`: end them, and reject
   * - `"end"`: end them
   * - `"keep"`: end what is ours and let processes and socket files be
   *
   * @default "fail"
   */
  leftovers?: "fail" | "end" | "keep";
  /**
   * How long channels and forwards may take to close, and then processes to end after their stdin did, in milliseconds.
   * @default 5000
   */
  patienceMs?: number;
}

/**
 * Ends a server and all that belongs to it.
 *
 * @throws {PluginError} `still-running` if a client left something open, or if a process outlived its stdin
 */
export async function endServer(
  box: Box,
  door: Door,
  { leftovers = "fail", patienceMs = 5000 }: CloseOptions,
): Promise<void> {
  const { ledger, port } = box;
  // What clients have sent before this moment counts: the end of a channel may just be on its way.
  door.thaw();
  if (leftovers === "fail") await ledger.settled(patienceMs);
  const left = ledger.leftOpen();
  await door.close();
  ledger.endAll();

  const descent = { port, groups: ledger.groups };
  const living =
    leftovers === "fail" ? await outlast(descent, patienceMs) : leftovers === "end" ? survivors(descent) : [];
  left.push(...living.map(({ pid, command }) => `process ${pid}: ${command}`));
  killAll(living);
  if (leftovers !== "keep") left.push(...ledger.takeSocketFiles().map((path) => `socket file ${path}`));
  if (leftovers === "fail" && left.length > 0) {
    throw new PluginError(
      "still-running",
      `The SSH server was closed while this was still there:\n${left.join("\n")}`,
      {
        hint: "End plugins and close connections first, or say what shall become of them with `leftovers`.",
      },
    );
  }
}
