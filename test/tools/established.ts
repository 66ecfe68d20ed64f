import { readFileSync } from "node:fs";

/** How the kernel numbers the state of a TCP connection that both sides have. */
const ESTABLISHED = "01";

/** How many connections to a port of this machine are established, as Linux tells (`/proc/net/tcp`). */
export function establishedOn(port: number): number {
  const here = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1);
  return rows.filter((row) => {
    const [, local, , state] = row.trim().split(/\s+/);
    return local?.endsWith(here) && state === ESTABLISHED;
  }).length;
}
