import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseAddress } from "../../src/contract/address.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { connectTo } from "../contract/runner-kinds.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { built } from "../tools/built.ts";
import { eventually, processesWith } from "../tools/leaks.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { startShim } from "./start-shim.ts";

/** More than lies between two processes of one machine, and less than an SSH channel's window. */
const BYTES = 1_500_000;

/** A plugin that sends so much on each of its connections, and has ended by itself when all of it is on the way. */
const PLUGIN = `
const path = process.env.PLUGIN_UNIX_SOCKET_DIR + "/p";
let left = Number(process.argv[1]);
const server = require("node:net").createServer((socket) => {
  socket.on("error", () => {});
  socket.end(Buffer.alloc(${BYTES}, "x"), () => --left === 0 && process.exit(3));
});
server.listen(path, () => console.log("1|1|unix|" + path + "|netrpc|"));
`;

let server: EmbeddedTestServer;
let user: UserHome;

beforeEach(async () => {
  server = await startEmbedded();
  user = await openUserHome({ dist: built(), server });
});

afterEach(async () => {
  await server.stop();
  user[Symbol.dispose]();
});

/** Such a plugin's command line, which holds a mark of this test. */
function plugin(connections: number): [string, ...string[]] {
  return [process.execPath, "-e", PLUGIN, String(connections), user.directory];
}

async function length(stream: Duplex): Promise<number> {
  return (await buffer(stream)).length;
}

test.each(["pass", "terminate"])("a host that reads late gets all that the plugin sent: --carry %s", async (carry) => {
  const shim = startShim({ user, server, command: plugin(1), flags: ["--carry", carry] });
  const [, , , path = ""] = await shim.handshake;
  const socket = connect(path);
  await once(socket, "connect");
  const plugins = () => processesWith(user.directory).filter(({ cmdline }) => cmdline.startsWith(process.execPath));
  const runs = () => plugins().some(({ cmdline }) => cmdline.includes("socket.end") && !cmdline.includes("shim"));
  await eventually(() => !runs(), { what: "the plugin's end" });
  expect(await length(socket)).toBe(BYTES);
  expect(await shim.ended).toEqual({ code: 3, signal: null });
});

test("a caller that reads once the plugin has ended gets all that it sent", async () => {
  await using runner = new SshRunner({ ...connectTo(server), command: plugin(2) });
  await runner.start();
  const [line] = (await once(runner.stdout, "data")) as [Buffer];
  const [, , network = "", at = ""] = line.toString().split("|");
  const address = parseAddress(network, at);
  const direct = await runner.openStream(address);
  const here = await runner.pluginToHost(address);
  const socket = connect({ path: here.network === "unix" ? here.path : "" });
  await once(socket, "connect");
  expect(await runner.wait()).toEqual({ code: 3, signal: null });
  expect(await Promise.all([length(direct), length(socket)])).toEqual([BYTES, BYTES]);
});
