import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import type { ServerChannel } from "ssh2";
import type { Visit } from "./box.ts";
import { insideOf, packetsOf } from "./ssh2-inside.ts";

/** Signals that SSH has a name for. */
const NAMED = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"];

/**
 * Connects a process with its channel. The channel closes when the process has ended and both its outputs have, which
 * may be later: whoever inherited them keeps it open, as with sshd.
 */
export function wireProcess(visit: Visit, channel: ServerChannel, child: ChildProcessWithoutNullStreams): void {
  feed(channel, child);
  const { rcNoise } = visit.box.options;
  if (rcNoise.stdout) channel.write(rcNoise.stdout);
  if (rcNoise.stderr) channel.stderr.write(rcNoise.stderr);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });

  const spoken = Promise.all([closed(child.stdout), closed(child.stderr)]).then(() => finished(channel));
  const exited = new Promise<void>((resolve) => {
    child.once("error", (failure) => {
      channel.stderr.write(`${failure.message}\n`);
      sendExit(visit, channel, 1, null);
      resolve();
    });
    child.once("exit", (code, signal) => {
      sendExit(visit, channel, code, signal);
      resolve();
    });
  });
  Promise.all([spoken, exited]).then(() => insideOf(channel).close());
}

/**
 * Takes the pipes away from a process whose channel is closed, and lets it live. What the client sent before it closed
 * the channel still arrives, unless the connection itself is gone.
 */
export function unwireProcess({ over }: Visit, child: ChildProcessWithoutNullStreams): void {
  child.stdout.destroy();
  child.stderr.destroy();
  if (over.aborted) child.stdin.destroy();
}

/** Passes the client's bytes and its EOF on; what comes when nobody reads any more is dropped. */
function feed(channel: ServerChannel, child: ChildProcessWithoutNullStreams): void {
  const drop = () => {
    channel.unpipe(child.stdin);
    channel.resume();
  };
  child.stdin.on("error", drop).on("close", drop);
  channel.pipe(child.stdin);
}

/** Resolves when a stream is closed. */
function closed(stream: Readable): Promise<void> {
  // What fails is closed too.
  stream.on("error", () => {});
  return new Promise((resolve) => stream.once("close", resolve));
}

/** Ends both outputs of a channel; resolves when all bytes are on their way. */
function finished(channel: ServerChannel): Promise<void> {
  return new Promise((resolve) => channel.stderr.end(() => channel.end(() => resolve())));
}

/** Tells the client how the process ended. Unlike ssh2's `exit`, also after EOF. */
function sendExit(visit: Visit, channel: ServerChannel, code: number | null, signal: NodeJS.Signals | null): void {
  const { outgoing } = insideOf(channel);
  if (visit.over.aborted || (outgoing.state !== "open" && outgoing.state !== "eof")) return;
  const packets = packetsOf(visit.connection);
  const name = signal?.slice("SIG".length) ?? "";
  if (NAMED.includes(name)) packets.exitSignal(outgoing.id, name, false, "");
  else packets.exitStatus(outgoing.id, code ?? 128 + (signal ? constants.signals[signal] : 0));
}
