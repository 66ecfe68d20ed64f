import type { ChildProcessWithoutNullStreams } from "node:child_process";
import type { ServerChannel, Session } from "ssh2";
import { type Visit, whenOver } from "./box.ts";
import { mend } from "./mend-channel.ts";
import { FAILED, refuseChannel } from "./refuse-channel.ts";
import { spawnAtLogin } from "./spawn-at-login.ts";
import { channelIdsOf, forgetChannel, insideOf, packetsOf } from "./ssh2-inside.ts";
import { unwireProcess, wireProcess } from "./wire-process.ts";

/** Signals that sshd passes on to a command. */
const SIGNALS = ["ABRT", "ALRM", "HUP", "INT", "KILL", "PIPE", "QUIT", "TERM", "USR1", "USR2"];

/** How far a session has come. */
interface Stage {
  /** What it is now, for people. */
  what: string;
  /** Whether the client may still use it. */
  open: boolean;
  /** Whether the server itself wants it closed, whatever its command does. */
  cut: boolean;
  channel?: ServerChannel;
  /** The command, while it runs. */
  child?: ChildProcessWithoutNullStreams;
  /** Takes the command's pipes away, which may hold what nobody will read, also when it has ended. */
  unwire?(): void;
}

/** Lets the client run commands, as many at a time as `maxSessions` says. */
export function serveSessions(visit: Visit): void {
  const { box, connection } = visit;
  const slots = new Set<Session>();
  connection.on("session", (accept, reject) => {
    if (box.hangAt === "channel") return;
    if (slots.size >= box.options.maxSessions) return refuseChannel(visit, reject, FAILED);
    const session = accept();
    slots.add(session);
    serveSession(visit, session, () => slots.delete(session));
  });
}

/** Serves one session; `freeSlot` is called when its channel is closed and its process has ended, as sshd counts. */
function serveSession(visit: Visit, session: Session, freeSlot: () => void): void {
  const { box, connection } = visit;
  const { ledger, options } = box;
  const now: Stage = { what: "session without a command", open: true, cut: false };
  const strike = ledger.enter(ledger.channels, {
    get what() {
      return now.what;
    },
    close: () => {
      now.cut = true;
      if (now.channel) insideOf(now.channel).close();
      else packetsOf(connection).channelClose(channelIdsOf(session).client);
    },
  });

  const onClose = () => {
    if (!now.open) return;
    now.open = false;
    strike();
    if (!now.channel) closeUnused(visit, session);
    now.unwire?.();
    if (!now.child) freeSlot();
  };
  session.once("close", whenOver(visit, onClose)).once("close", onClose);

  const start = (accept: () => ServerChannel, command: string | undefined) => {
    if (box.hangAt === "exec") return;
    // sshd closes a command's channel when the command has ended, whatever the client does.
    const channel = mend(visit, accept(), () => !now.child || now.cut);
    const child = spawnAtLogin(visit, command);
    const onEnd = () => {
      delete now.child;
      if (!now.open) freeSlot();
    };
    child.once("exit", onEnd).once("error", onEnd);
    now.unwire = () => unwireProcess(visit, child);
    Object.assign(now, { channel, child, what: `${command === undefined ? "shell" : "exec"}, pid ${child.pid}` });
    options.log(`started ${now.what}: ${command ?? options.loginShell}`);
    if (child.pid !== undefined) ledger.groups.add(child.pid);
    wireProcess(visit, channel, child);
  };
  session.on("exec", (accept, _reject, { command }) => start(accept, command));
  session.on("shell", (accept) => start(accept, undefined));
  if (options.forceCommand !== undefined) session.on("subsystem", (accept, _reject, { name }) => start(accept, name));
  session.on("signal", (_accept, _reject, { name }) => signalGroup(now.child, name));
}

/** Answers the close of a channel on which nothing was started, which ssh2 forgets to do. */
function closeUnused({ connection, over }: Visit, session: Session): void {
  if (over.aborted) return;
  const { client, server } = channelIdsOf(session);
  packetsOf(connection).channelClose(client);
  forgetChannel(connection, server);
}

/** Signals a command and all of its process group, if it still runs and the signal is one that sshd knows. */
function signalGroup(child: ChildProcessWithoutNullStreams | undefined, name: string): void {
  if (child?.pid === undefined || !SIGNALS.includes(name)) return;
  try {
    process.kill(-child.pid, `SIG${name}`);
  } catch {
    // It has ended, and its end is on the way to us.
  }
}
