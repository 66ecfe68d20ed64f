import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import type { PluginError } from "../../../src/contract/errors.ts";
import { startEmbedded } from "../../servers/embedded.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import { freePort } from "../../servers/spawn-server.ts";
import { has, hasTier } from "../../tiers/tiers.ts";
import { descendants, eventually, isAlive, processesWith } from "../../tools/leaks.ts";
import { rejectionOf } from "../failure-of.ts";
import { hearing, withFakeTimeouts } from "../fake-timeouts.ts";
import { destinationOf, loginWithKey, optionsFor } from "../login.ts";
import { RawServer } from "../raw-server.ts";
import { Scratch } from "../scratch.ts";
import { leavesNoTrace } from "../traces.ts";
import { homeFor, hopOf, output } from "./hops.ts";

afterEach(() => vi.unstubAllEnvs());

/** A command that connects to where `%h` and `%p` say. */
const PIPE = `"${process.execPath}" "${fileURLToPath(new URL("pipe.mjs", import.meta.url))}" %h %p`;

/** Commands that people use, those that are there. */
const COMMANDS = [
  ["nc", "nc %h %p"],
  ["ncat", "ncat --no-shutdown %h %p"],
  ["socat", "socat - TCP:%h:%p"],
  ["sh", `sh -c 'echo one moment >&2; exec ${PIPE}'`],
].filter(([program]) => has(program as string));

/** Fails to connect by a command, without a trace. */
async function failureOver(proxyCommand: string, more: ConnectOptions = {}, signal?: AbortSignal) {
  const options = optionsFor({ knownHostsFile: "/nonexistent" }, { proxyCommand, ...more });
  return leavesNoTrace(() => rejectionOf(connect("ann@box", options, signal)));
}

/** A file that says which process runs, as soon as it does. */
async function pidIn(path: string): Promise<number> {
  // The file is there before there is something in it.
  return eventually(() => existsSync(path) && (Number(readFileSync(path, "utf8")) || false), {
    what: "the command to run",
  });
}

/** Whether this process has started it, or somebody whom it has started. */
function isOurs(pid: number): boolean {
  return descendants(process.pid).includes(pid);
}

function gone(pid: number): Promise<boolean> {
  return eventually(() => !isAlive(pid), { what: "the command to be gone" });
}

describe("commands that people use", () => {
  test.each(COMMANDS)("%s", async (_program, proxyCommand) => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      const connection = await loginWithKey(server, { proxyCommand });
      expect(await output(connection, "echo hello")).toBe("hello\n");
      const { stdin, stdout, stderr } = await connection.exec("cat");
      stderr.resume();
      const sent = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * 31) % 251));
      stdin.end(sent);
      expect(Buffer.concat(await stdout.toArray()).equals(sent)).toBe(true);
      await connection.close();
    });
  });

  test.skipIf(!hasTier("accounts"))("ssh -W, through a real server to another", async () => {
    await using hop = await startOpenSsh({ account: { home: "/" } });
    await using box = await startOpenSsh({ account: { home: "/" } });
    const proxyCommand =
      `ssh -F none -i '${hop.identityFile}' -o IdentitiesOnly=yes -o UserKnownHostsFile='${hop.knownHostsFile}' ` +
      `-p ${hop.port} -W '[%h]:%p' ${hop.user}@${hop.host}`;
    await leavesNoTrace(async () => {
      const connection = await loginWithKey(box, { proxyCommand });
      expect(await output(connection, "echo hello")).toBe("hello\n");
      await connection.close();
    });
    await eventually(() => hop.sessionPids().length === 0, { what: "the hop to be left alone" });
  });

  test("none, in any spelling, is no command", async () => {
    await using server = await startEmbedded();
    for (const proxyCommand of ["none", "None"]) {
      await using connection = await loginWithKey(server, { proxyCommand });
      expect(await output(connection, "echo hello")).toBe("hello\n");
    }
  });
});

describe.skipIf(!hasTier("openssh"))("what the command is told, beside `ssh` itself", () => {
  test.each([
    ["every token", "%h %n %p %r %%"],
    ["text around them", "a%hb 100%% '[%h]:%p'"],
    ["a variable of the shell's", '"$GREETING" $((1+1))'],
  ])("%s", async (_what, words) => {
    await using scratch = await Scratch.make();
    vi.stubEnv("GREETING", "hello there");
    // Its stdout stays open until it has written: `ssh` ends it as soon as that is closed.
    const command = (file: string) => `printf '%%s\\n' ${words} | tee '${scratch.path(file)}'`;
    await failureOver(command("ours"));
    const args = ["-F", "none", "-l", "ann", "-o", `ProxyCommand=${command("theirs")}`, "box"];
    await promisify(execFile)("ssh", args).catch(() => {});
    const ours = readFileSync(scratch.path("ours"), "utf8");
    expect(ours).toBe(readFileSync(scratch.path("theirs"), "utf8"));
    expect(ours).not.toBe("");
  });

  test("the user's shell runs it, and it takes the shell's place", async () => {
    await using scratch = await Scratch.make();
    const shell = await scratch.put("shell", `#!/bin/sh\nprintf '%s\\n' "$@" > '${scratch.path("asked")}'\n`, 0o755);
    vi.stubEnv("SHELL", shell);
    await failureOver("some %h words");
    expect(readFileSync(scratch.path("asked"), "utf8")).toBe("-c\nexec some box words\n");
  });
});

describe("a command that does not connect", () => {
  test("that is not there", async () => {
    const failure = await failureOver("no-such-program-here %h");
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain("The proxy command ended with status 127.");
    expect(failure.message).toMatch(/Its stderr ended with:\n.*no-such-program-here/);
  });

  test("whose shell is not there", async () => {
    vi.stubEnv("SHELL", "/nonexistent/shell");
    const failure = await failureOver("true");
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain("The proxy command could not be started: spawn /nonexistent/shell ENOENT.");
  });

  test("that ends at once, with a status and a word about it", async () => {
    const failure = await failureOver("sh -c 'printf \"no way\\033[2J\\n\" >&2; exit 3'");
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain("ann@box:22");
    expect(failure.message).toContain("The proxy command ended with status 3.");
    expect(failure.message).toContain("no way\\x1b[2J");
  });

  test("that is killed", async () => {
    const failure = await failureOver("sh -c 'kill -KILL $$'");
    expect(failure).toMatchObject({ code: "connect-failed" });
    expect(failure.message).toContain("The proxy command was ended by SIGKILL.");
  });

  test("that ends well, having said nothing: the box may have hung up", async () => {
    const failure = await failureOver("true");
    expect(failure.code).toBe("box-refused");
    expect(failure.message).toContain("The proxy command ended with status 0.");
  });

  test("that prints to stdout and ends", async () => {
    const failure = await failureOver("sh -c 'echo \"Welcome to the proxy\"; exit 1'");
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain('It said "Welcome to the proxy".');
    expect(failure.message).toContain("ended with status 1");
  });

  test("that prints to stdout without an end", async () => {
    const failure = await failureOver("yes");
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain("ann@box:22 does not speak SSH");
    // Others may run one, too.
    const ours = () => processesWith("yes").filter(({ cmdline, pid }) => cmdline === "yes" && isOurs(pid));
    await eventually(() => ours().length === 0, { what: "its end" });
  });

  test("that meets nobody, and says so", async () => {
    const port = await freePort();
    const failure = await failureOver(PIPE.replace("%h %p", `127.0.0.1 ${port}`));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain("The proxy command ended with status 1.");
    expect(failure.message).toContain("ECONNREFUSED");
  });
});

test("what a command prints before the banner is passed over, as OpenSSH does", async () => {
  await using server = await startEmbedded();
  const proxyCommand = `sh -c 'echo Connecting to %h; echo; exec ${PIPE}'`;
  await using connection = await loginWithKey(server, { proxyCommand });
  expect(await output(connection, "echo hello")).toBe("hello\n");
});

test("what it writes to stderr does not stop it, however much it is", async () => {
  await using server = await startEmbedded();
  const proxyCommand = `sh -c 'head -c 3000000 /dev/zero >&2; exec ${PIPE}'`;
  await using connection = await loginWithKey(server, { proxyCommand });
  expect(await output(connection, "echo hello")).toBe("hello\n");
});

describe("a command that goes on for ever", () => {
  test("is ended when the time is over; what it says is told", async () => {
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    const connectTimeoutMs = 20_000;
    let failing: Promise<PluginError> | undefined;
    await hearing("the proxy command says", (heard) =>
      withFakeTimeouts(async (pass) => {
        failing = failureOver(`sh -c 'echo $$ > ${pid}; echo trying >&2; exec sleep 1000'`, { connectTimeoutMs });
        failing.catch(() => {});
        await heard;
        pass(connectTimeoutMs);
      }),
    );
    const failure = await (failing as Promise<PluginError>);
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain(`did not get past banner within ${connectTimeoutMs} ms`);
    expect(failure.message).toMatch(/still runs\.\nIts stderr ended with:\n {2}trying/);
    await gone(await pidIn(pid));
  });

  test("is ended with all that it has started, and by force if need be, when the caller gives up", async () => {
    await using scratch = await Scratch.make();
    const [pid, child] = [scratch.path("pid"), scratch.path("child")];
    const script = await scratch.put(
      "stubborn",
      `#!/bin/sh\ntrap '' TERM\nsh -c 'echo $$ > ${child}; while :; do sleep 1; done' &\necho $$ > ${pid}\nwait\n`,
      0o755,
    );
    const giveUp = new AbortController();
    const failing = failureOver(script, {}, giveUp.signal);
    const pids = [await pidIn(pid), await pidIn(child)];
    giveUp.abort();
    expect(await failing).toMatchObject({ code: "aborted" });
    for (const one of pids) await gone(one);
  });
});

describe("a connection by a command", () => {
  test("ends with it, and says how it ended", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    await leavesNoTrace(async () => {
      const connection = await loginWithKey(server, { proxyCommand: `sh -c 'echo $$ > ${pid}; exec ${PIPE}'` });
      const lost = once(connection.lost, "abort");
      process.kill(await pidIn(pid), "SIGKILL");
      await lost;
      expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
      expect(connection.lost.reason.message).toContain("The proxy command was ended by SIGKILL.");
      await connection.close();
    });
  });

  test("takes it along when it is closed", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    const connection = await loginWithKey(server, { proxyCommand: `sh -c 'echo $$ > ${pid}; exec ${PIPE}'` });
    const running = await pidIn(pid);
    await connection.close();
    await gone(running);
  });

  test("takes it along when the server ends it, also if the command does not notice", async () => {
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    await using server = await RawServer.start((client) => client.end("SSH-2.0-moody\r\n"));
    // It keeps its output open after the server has hung up.
    const pipe = PIPE.replace("%h %p", `127.0.0.1 ${server.port}`);
    const proxyCommand = `sh -c 'echo $$ > ${pid}; ${pipe}; echo over >&2; exec sleep 1000'`;
    const connectTimeoutMs = 20_000;
    let failing: Promise<PluginError> | undefined;
    await hearing("the proxy command says", (heard) =>
      withFakeTimeouts(async (pass) => {
        failing = failureOver(proxyCommand, { connectTimeoutMs });
        failing.catch(() => {});
        await heard;
        pass(connectTimeoutMs);
      }),
    );
    expect(await failing).toMatchObject({ code: "connect-failed" });
    await gone(await pidIn(pid));
  });
});

describe("tokens that cannot be used", () => {
  test("one that stands for nothing", async () => {
    const failure = await failureOver("nc %h %q");
    expect(failure.code).toBe("config-error");
    expect(failure.message).toContain('`proxyCommand` has "%q", which stands for nothing.');
  });

  test.each(["$(reboot)'", "a`b`", "x;y", 'q"q', "a|b", "tail\\"])("a user named %s", async (user) => {
    const options = optionsFor({ knownHostsFile: "/nonexistent" }, { proxyCommand: "echo %r" });
    const failure = await rejectionOf(connect({ host: "box", user }, options));
    expect(failure.code).toBe("config-error");
    expect(failure.message).toContain("has %r");
  });
});

test("a jump host wins over a command", async () => {
  await using hop = await startEmbedded();
  await using box = await startEmbedded();
  await using _home = await homeFor(hop);
  const options = { identityFile: box.identityFile, proxyJump: hopOf(hop), proxyCommand: "false" };
  await using connection = await connect(destinationOf(box), optionsFor(box, options));
  expect(await output(connection, "echo hello")).toBe("hello\n");
});
