import { connect } from "node:net";

/** Joins stdin and stdout with a TCP port, as `nc` does: a proxy command that is there wherever Node is. */
const [host, port] = process.argv.slice(2);
const socket = connect(Number(port), host);
socket.on("error", ({ message }) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
});
process.stdout.on("error", () => socket.destroy());
process.stdin.pipe(socket).pipe(process.stdout);
