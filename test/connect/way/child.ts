import { connect } from "../../../src/connect/connect.ts";
import type { OwnedConnection } from "../../../src/connect/owned-connection.ts";

/** Connects, and closes nothing. Run by a test, in a child: when does the process end, and what does it leave? */
const { destination, options, letGo } = JSON.parse(process.argv.at(-1) ?? "{}");
const connection = (await connect(destination, options)) as OwnedConnection;
const { stdin, stdout, stderr, exited } = await connection.exec("true");
stdin.end();
stdout.resume();
stderr.resume();
process.stdout.write(`ran, ${(await exited)?.code}\n`);
if (letGo) connection.hold(false);
