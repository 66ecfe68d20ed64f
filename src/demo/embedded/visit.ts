import { setMaxListeners } from "node:events";
import type { ClientInfo, Connection } from "ssh2";
import type { Box } from "./box.ts";
import { serveForwardsIntoBox } from "./forwards-into-box.ts";
import { serveForwardsOutOfBox } from "./forwards-out-of-box.ts";
import { serveLogin } from "./login.ts";
import { serveSessions } from "./sessions.ts";

/** Serves one client from its banner to its end. */
export function receive(box: Box, connection: Connection, { port: clientPort }: ClientInfo): void {
  const { log } = box.options;
  const leaving = new AbortController();
  setMaxListeners(0, leaving.signal);
  // A failure closes the connection too.
  connection.on("error", (failure) => log(`client ${clientPort}: ${failure.message}`));
  connection.once("close", () => {
    log(`client ${clientPort} is gone`);
    leaving.abort();
  });
  log(`client ${clientPort} is here`);

  const visit = { box, connection, clientPort, over: leaving.signal };
  serveLogin(visit);
  serveSessions(visit);
  serveForwardsIntoBox(visit);
  serveForwardsOutOfBox(visit);
}
