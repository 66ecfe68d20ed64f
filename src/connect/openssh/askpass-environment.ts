import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";
import { PluginError } from "../../contract/errors.ts";

const ASKPASS = fileURLToPath(new URL("./askpass.sh", import.meta.url));

/**
 * Variables that let `ssh` ask us, and nobody else.
 *
 * @param path of the socket where its questions are awaited
 * @throws {PluginError} `unsupported` if our program may not be executed
 */
export function askpassEnvironment(path: string): Record<string, string> {
  try {
    accessSync(ASKPASS, constants.X_OK);
  } catch (cause) {
    throw new PluginError("unsupported", `\`ssh\` cannot ask anything, because ${ASKPASS} may not be executed.`, {
      hint: "Make it executable, or leave the callbacks out.",
      cause,
    });
  }
  return {
    SSH_ASKPASS: ASKPASS,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: process.env.DISPLAY ?? ":0",
    GO_PLUGIN_SSH_PROMPTS: path,
    GO_PLUGIN_SSH_NODE: process.execPath,
  };
}
