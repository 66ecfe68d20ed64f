// A ProxyCommand: connects its stdin and stdout to a socket of the process that started ssh. See served-way.ts.
import { connect } from "node:net";

const socket = connect(process.argv[2] ?? "");
socket.on("error", () => process.exit(1));
process.stdout.on("error", () => process.exit(0));
socket.on("close", () => process.exit(0));
process.stdin.pipe(socket);
socket.pipe(process.stdout);
