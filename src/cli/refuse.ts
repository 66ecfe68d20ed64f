import { PluginError } from "../index.ts";

/** Refuses a command line. */
export function refuse(what: string, hint?: string): never {
  throw new PluginError("bad-options", what, { hint });
}
