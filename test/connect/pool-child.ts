import { ConnectionPool } from "../../src/connect/pool.ts";

/** Leases a connection, gives it back, and closes nothing: when does the process end? Run by a test, in a child. */
const { destination, options } = JSON.parse(process.argv.at(-1) ?? "{}");
const pool = new ConnectionPool(options);
const lease = await pool.lease(destination);
const { stdin, stdout, stderr, exited } = await lease.connection.exec("true");
stdin.end();
stdout.resume();
stderr.resume();
const exit = await exited;
lease.release();
process.stdout.write(`released after ${exit?.code}, ${pool.size} open\n`);
process.on("exit", () => process.stdout.write(`ended, ${pool.size} open\n`));
