import type { Cookie } from "../shim/cookie.ts";
import { refuse } from "./refuse.ts";

/** Reads `NAME=VALUE`. */
export function cookieOf(text: string): Cookie {
  const [, name, value] = /^([A-Za-z_]\w*)=(.+)$/.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return { name, value };
  return refuse("--cookie takes NAME=VALUE: what the host's source calls MagicCookieKey and MagicCookieValue.");
}

/** Reads versions that are joined by commas. */
export function versionsOf(text: string): number[] {
  if (/^\d{1,9}(,\d{1,9})*$/.test(text)) return text.split(",").map(Number);
  return refuse(`--protocol-versions takes numbers that are joined by commas, not ${JSON.stringify(text)}.`);
}
