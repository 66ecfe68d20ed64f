/** The ways to log in that are known here, named as SSH names them. */
export type AuthenticationMethod = "publickey" | "keyboard-interactive" | "password";

/** OpenSSH's order, without what is not known here. */
const ALL: readonly AuthenticationMethod[] = ["publickey", "keyboard-interactive", "password"];

/** What OpenSSH prefers to these; it does them only where another setting turns them on. */
const OTHERS: readonly string[] = ["none", "gssapi-with-mic", "gssapi-keyex", "hostbased"];

/** The methods to try, and what was asked for and is known to nobody. */
export interface PreferredMethods {
  readonly order: readonly AuthenticationMethod[];
  readonly unknown: readonly string[];
}

/** Reads `preferredAuthentications`: names joined by commas, in the order in which they are to be tried. */
export function preferredMethods(preferredAuthentications: string | undefined): PreferredMethods {
  if (preferredAuthentications === undefined) return { order: ALL, unknown: [] };
  const names = [...new Set(preferredAuthentications.split(",").map((name) => name.trim()))];
  const isKnown = (name: string): name is AuthenticationMethod => (ALL as readonly string[]).includes(name);
  return {
    order: names.filter(isKnown),
    unknown: names.filter((name) => !isKnown(name) && !OTHERS.includes(name) && name !== ""),
  };
}
