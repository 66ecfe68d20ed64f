import { PluginError, type PluginErrorCode } from "../../contract/errors.ts";

/** What an error says happened, without its code and its hint. */
export function whatOf({ code, hint, message }: PluginError): string {
  return message.slice(`[${code}] `.length, hint === "" ? undefined : -`\n${hint}`.length);
}

/** The same failure with another text about what happened; the first one is its cause. */
export function retell(failure: PluginError, what: string, code: PluginErrorCode = failure.code): PluginError {
  return new PluginError(code, what, { hint: failure.hint, cause: failure });
}
