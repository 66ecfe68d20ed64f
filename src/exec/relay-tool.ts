import { type Exec, runProgram } from "./run-program.ts";

/**
 * What can relay a connection on the box, the best one first. Interpreters say when they are connected, and why not,
 * and notice at once that the plugin has gone; opening a relay takes 17 ms with either, 13 with socat, 58 with ncat, and
 * all carry 90 to 110 MiB/s. python3 is often a script that looks for the right version first.
 */
export const RELAY_TOOLS = ["perl", "python3", "socat", "ncat", "nc"] as const;

/** One of {@link RELAY_TOOLS}. */
export type RelayTool = (typeof RELAY_TOOLS)[number];

const LOOK_MS = 15_000;

/** The program that looks for a tool, and what it has to be told; its answer is for {@link readRelayTool}. */
export const RELAY_LOOK = "relay-tools.sh";

/** The variables that {@link RELAY_LOOK} needs. */
export function relayLookVariables(wanted: readonly RelayTool[] = RELAY_TOOLS): Record<string, string> {
  return { gps_wanted: wanted.join(" ") };
}

/** What {@link RELAY_LOOK} has found; `undefined` if the box has nothing. */
export function readRelayTool(facts: Readonly<Record<string, string>>): RelayTool | undefined {
  return RELAY_TOOLS.find((tool) => tool === facts.tool);
}

/**
 * Looks for something on the box that can relay, in one channel.
 *
 * @param wanted what to look for, the best one first
 * @throws {PluginError} what `exec` threw, `timeout` or `aborted`
 */
export async function findRelayTool(
  exec: Exec,
  signal?: AbortSignal,
  wanted: readonly RelayTool[] = RELAY_TOOLS,
): Promise<RelayTool | undefined> {
  return readRelayTool(await runProgram(exec, RELAY_LOOK, relayLookVariables(wanted), { signal, timeoutMs: LOOK_MS }));
}

/** Whether a tool can also listen on the box. */
export function canListen(tool: RelayTool): tool is "python3" | "perl" {
  return tool === "python3" || tool === "perl";
}
