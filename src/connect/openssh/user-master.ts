import { execFile } from "node:child_process";
import createDebug from "debug";
import { makePrivateDirectory, removePrivateDirectory } from "../../lifetime/private-directory.ts";
import { SERVER_ALIVE_COUNT_MAX, SERVER_ALIVE_INTERVAL_MS } from "../default-patience.ts";
import { describeTarget } from "../destination.ts";
import type { Settings } from "../settings.ts";
import { ControlClient } from "./control-client.ts";
import { keepMaster } from "./keep-master.ts";
import { MuxProxy } from "./mux-proxy.ts";
import type { Master } from "./openssh-connection.ts";
import { sshArguments } from "./ssh-arguments.ts";
import { lostError } from "./ssh-errors.ts";
import type { SystemSsh } from "./system-ssh.ts";

const debug = createDebug("go-plugin-ssh:connect");

const READ_MS = 10_000;
/** A master answers at once, unless its process is stopped. */
const ANSWER_MS = 10_000;

/**
 * Joins the master that the user has running for this box, if the configuration has a `ControlPath` and somebody answers
 * there before `connectTimeoutMs`, or 10 s, have passed. It is theirs: it is never ended. With pinned host keys it is
 * not used, because nobody can say what key it saw.
 */
export async function joinUserMaster(
  settings: Settings,
  ssh: SystemSsh,
  over: AbortSignal,
): Promise<Master | undefined> {
  if (settings.options.hostKeyFingerprints) return undefined;
  const path = await controlPath(settings, ssh, over);
  if (path === undefined) return undefined;
  const timeoutMs = Math.min(settings.options.connectTimeoutMs || ANSWER_MS, ANSWER_MS);
  const proxy = await MuxProxy.open(path, { signal: over, timeoutMs }).catch((failure) => {
    if (over.aborted) throw failure;
    debug("no master at %s: %s", path, failure.message);
    return undefined;
  });
  if (!proxy) return undefined;
  const control = new ControlClient(path);
  const directory = await makePrivateDirectory().catch((failure) => {
    proxy.destroy();
    control.destroy();
    throw failure;
  });
  let isKept = false;
  proxy.onRefusal = (socket) => {
    if (!isKept) keepMaster(socket);
    isKept = true;
  };
  const liveness = watch(proxy, settings.options);
  debug("%s: by the user's own master at %s", describeTarget(settings.target), path);
  return {
    proxy,
    control,
    directory,
    isUsers: true,
    why: async () => lostError(liveness.isSilent, undefined, settings),
    hold: (keepAlive) => {
      proxy.hold(keepAlive);
      control.hold(keepAlive);
    },
    close: async () => {
      await proxy.leave();
      liveness.stop();
      control.destroy();
      await removePrivateDirectory(directory);
    },
  };
}

/** Asks the server now and then whether it is there, because the user's `ssh` may not; destroys `proxy` when it is not. */
function watch(
  proxy: MuxProxy,
  {
    serverAliveIntervalMs = SERVER_ALIVE_INTERVAL_MS,
    serverAliveCountMax = SERVER_ALIVE_COUNT_MAX,
  }: Settings["options"],
) {
  let unanswered = 0;
  const state = { isSilent: false, stop: () => clearInterval(timer) };
  const ask = () => {
    state.isSilent = unanswered >= Math.max(1, serverAliveCountMax);
    if (state.isSilent) return proxy.destroy();
    const answer = proxy.ping();
    if (!answer) return;
    unanswered += 1;
    void answer.then(() => {
      unanswered = 0;
    });
  };
  const timer = serverAliveIntervalMs === 0 ? undefined : setInterval(ask, serverAliveIntervalMs).unref();
  void proxy.closed.then(state.stop);
  return state;
}

/** Where the user's master would listen, as `ssh` itself works it out. */
function controlPath(settings: Settings, ssh: SystemSsh, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("ssh", ["-G", ...sshArguments(settings, ssh)], { timeout: READ_MS, signal }, (failure, stdout) => {
      if (failure) debug("ssh -G: %s", failure.message);
      const [, path] = /^controlpath (.+)$/m.exec(stdout) ?? [];
      resolve(path === undefined || path === "none" ? undefined : path);
    });
  });
}
