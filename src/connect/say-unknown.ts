import { harmless } from "../lifetime/tail.ts";
import { say } from "./config/notices.ts";
import type { ConnectOptions } from "./connect-options.ts";

/** Says once what a list asks for and cannot be done; nothing if there is nothing to say. */
export function sayUnknown(
  options: Pick<ConnectOptions, "onNotice">,
  option: keyof ConnectOptions,
  names: readonly string[],
): void {
  if (names.length > 0) say(options, harmless(`ssh2 does not have ${names.join(", ")}, which \`${option}\` names.`));
}
