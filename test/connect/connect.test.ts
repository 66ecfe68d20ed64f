import { appendFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { serverKinds } from "../servers/kinds.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { rejectionOf } from "./failure-of.ts";
import { withFakeTimeouts } from "./fake-timeouts.ts";
import { startLocked } from "./locked-key.ts";
import { destinationOf, expectNoSecret, login, loginWithKey, optionsFor, secretsOf } from "./login.ts";
import { Scratch } from "./scratch.ts";
import { SilentAgent, SshAgent, UnwillingAgent } from "./ssh-agent.ts";
import { leavesNoTrace } from "./traces.ts";

const PASSPHRASE = "sesame-open-xyzzy";
const PASSWORD = "plugh-hunter2";

afterEach(() => vi.unstubAllEnvs());

/** What a command writes on the box; proves that a connection works. */
async function output(connection: Connection, command: string): Promise<string> {
  const { stdin, stdout, stderr, exited } = await connection.exec(command);
  stdin.end();
  stderr.resume();
  const text = (await stdout.toArray()).join("");
  expect(await exited).toEqual({ code: 0, signal: null });
  return text;
}

describe.each(serverKinds.filter(({ available }) => available))("a key file, over $name", ({ name, start }) => {
  test("opens the connection, and nothing stays when it is closed", async () => {
    await using server = await start();
    await leavesNoTrace(async () => {
      const connection = await loginWithKey(server);
      expect(connection.name).toBe(`${server.user}@127.0.0.1:${server.port}`);
      expect(await output(connection, "echo hello")).toBe("hello\n");
      expect(connection.lost.aborted).toBe(false);
      await connection.close();
      expect(connection.lost.reason).toMatchObject({ code: "closed" });
    });
  });

  test("is found where OpenSSH looks for it", async () => {
    await using server = await start();
    await using home = await Scratch.make();
    await mkdir(home.path(".ssh"), { mode: 0o700 });
    await home.put(".ssh/id_ed25519", server.privateKey);
    vi.stubEnv("HOME", home.directory);
    const { identityFile: _, ...options } = optionsFor(server);
    await using connection = await connect(destinationOf(server), options);
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("may stand behind others that the server does not know", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    const other = await scratch.put("other", generateKey("ecdsa").privateKey);
    await using connection = await login(server, { identityFile: [other, scratch.path("none"), server.identityFile] });
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("is opened with its passphrase, which is asked for once", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked(name, scratch, PASSPHRASE);
    await using _ = server;
    const passphrase = vi.fn(async () => PASSPHRASE);
    await using connection = await login(server, { identityFile, passphrase });
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect(passphrase.mock.calls).toEqual([[{ file: identityFile, signal: expect.any(AbortSignal) }]]);
  });

  test("is not asked for its passphrase by a server that would not have it anyway", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked(name, scratch, PASSPHRASE);
    await using _ = server;
    await using other = await startEmbedded();
    const passphrase = vi.fn(() => PASSPHRASE);
    const failure = await leavesNoTrace(() => rejectionOf(login(other, { identityFile, passphrase })));
    expect(passphrase).toHaveBeenCalledTimes(0);
    expect(failure.message).toMatch(/key file \S+locked: ssh-ed25519 SHA256:/);
    await using _connection = await login(other, { identityFile: [identityFile, other.identityFile], passphrase });
    expect(passphrase).toHaveBeenCalledTimes(0);
  });

  test.each<[what: string, ConnectOptions["passphrase"], says: RegExp]>([
    ["a wrong passphrase", () => `not-${PASSPHRASE}`, /locked: the passphrase is wrong/],
    ["no passphrase", () => undefined, /locked: it is encrypted and there was no passphrase/],
    ["an empty passphrase", () => "", /locked: the passphrase is wrong/],
    ["nobody to ask", undefined, /locked: it is encrypted and there was no passphrase/],
  ])("stays shut with %s", async (_what, passphrase, says) => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked(name, scratch, PASSPHRASE);
    await using _ = server;
    const failure = await leavesNoTrace(() =>
      rejectionOf(login(server, { identityFile, ...(passphrase && { passphrase }) })),
    );
    expect(failure).toMatchObject({ code: "auth-failed", message: expect.stringMatching(says) });
    expect(failure.message).toMatch(/The server takes: .*publickey/);
    expectNoSecret(failure, [PASSPHRASE]);
  });

  test("what the callback throws ends it all and is the cause", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked(name, scratch, PASSPHRASE);
    await using _ = server;
    const cause = new RangeError("cancelled");
    const passphrase = () => {
      throw cause;
    };
    // The next key would do, but whoever throws wants no more of it.
    const failure = await leavesNoTrace(() =>
      rejectionOf(login(server, { identityFile: [identityFile, server.identityFile], passphrase })),
    );
    expect(failure).toMatchObject({ code: "auth-failed", cause });
    expect(failure.message).toContain("One of the callbacks threw");
  });

  test("that the server does not know is named, and so is what the server takes", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    const { privateKey, fingerprint } = generateKey("ed25519");
    const identityFile = await scratch.put("stranger", privateKey);
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { identityFile })));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain(`127.0.0.1 did not let ${server.user} in.`);
    expect(failure.message).toContain(`key file ${identityFile}: ssh-ed25519 ${fingerprint}`);
    expect(failure.message).toMatch(/The server takes: publickey/);
    expect(failure.hint).toContain("`identityFile`");
    expectNoSecret(failure, secretsOf(privateKey));
  });

  test("nothing to offer: what the server takes is asked for", async () => {
    await using server = await start();
    const failure = await leavesNoTrace(() => rejectionOf(login(server)));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toMatch(/Tried: nothing\nThe server takes: publickey/);
  });
});

describe("a key file that cannot be used says why, and the next one is tried", () => {
  const { privateKey, publicKey } = generateKey("ed25519");
  const cases: [what: string, content: string, mode: number, says: RegExp][] = [
    ["that others may read", privateKey, 0o644, /its permissions 0644 are too open; try `chmod 600`/],
    ["that the group may read", privateKey, 0o640, /its permissions 0640 are too open/],
    ["with the public key", `${publicKey} me@home\n`, 0o644, /it holds a public key, not the private one/],
    ["without sense", "not a key\n", 0o600, /it is no private key that ssh2 can use \(Unsupported key format\)/],
    ["that is empty", "", 0o600, /it is no private key/],
    ["that was cut off", privateKey.slice(0, 200), 0o600, /it is no private key/],
  ];
  test.each(cases)("%s", async (_what, content, mode, says) => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const identityFile = await scratch.put("bad", content, mode);
    const failure = await rejectionOf(login(server, { identityFile }));
    expect(failure).toMatchObject({
      code: "auth-failed",
      message: expect.stringContaining(`key file ${identityFile}: `),
    });
    expect(failure.message).toMatch(says);
    expectNoSecret(failure, secretsOf(privateKey));
    await using connection = await login(server, { identityFile: [identityFile, server.identityFile] });
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("that is not there, and only if it was asked for", async () => {
    await using server = await startEmbedded();
    await using home = await Scratch.make();
    vi.stubEnv("HOME", home.directory);
    const { identityFile: _, ...options } = optionsFor(server);
    const quiet = await rejectionOf(connect(destinationOf(server), options));
    expect(quiet.message).toContain("Tried: nothing");
    const loud = await rejectionOf(login(server, { identityFile: "~/.ssh/id_none" }));
    expect(loud.message).toContain(`key file ${home.path(".ssh/id_none")}: it cannot be read (ENOENT)`);
  });

  test("that is a directory", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const failure = await rejectionOf(login(server, { identityFile: scratch.directory }));
    expect(failure.message).toContain("it cannot be read (EISDIR)");
  });

  test.skipIf(process.getuid?.() === 0)("that nobody may read", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const identityFile = await scratch.put("shut", privateKey, 0o000);
    expect((await rejectionOf(login(server, { identityFile }))).message).toContain("it cannot be read (EACCES)");
  });
});

describe.skipIf(!has("ssh-agent") || !has("ssh-add"))("ssh-agent", () => {
  const strangers = Array.from({ length: 4 }, () => generateKey("ed25519"));

  test.each(serverKinds.filter(({ available }) => available))("signs, over $name", async ({ start }) => {
    await using server = await start();
    await using agent = await SshAgent.start();
    await agent.add(server.privateKey);
    await leavesNoTrace(async () => {
      await using connection = await login(server, { identityAgent: agent.socket });
      expect(await output(connection, "echo hello")).toBe("hello\n");
    });
  });

  test("is found through SSH_AUTH_SOCK", async () => {
    await using server = await startEmbedded();
    await using agent = await SshAgent.start();
    await agent.add(server.privateKey);
    vi.stubEnv("SSH_AUTH_SOCK", agent.socket);
    const { identityAgent: _, ...options } = optionsFor(server);
    await using connection = await connect(destinationOf(server), options);
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect(await rejectionOf(login(server, { identityAgent: "none" }))).toMatchObject({ code: "auth-failed" });
  });

  test.each([
    ["the .pub beside it", true],
    ["the file itself", false],
  ])("offers first the key of `identityFile`, known by %s", async (_what, pub) => {
    await using server = await startEmbedded();
    await using agent = await SshAgent.start();
    await using scratch = await Scratch.make();
    const mine = generateKey("ed25519");
    for (const { privateKey } of [...strangers, mine]) await agent.add(privateKey);
    const identityFile = pub ? scratch.path("mine") : await scratch.put("mine", mine.privateKey);
    if (pub) await scratch.put("mine.pub", `${mine.publicKey} me@home\n`);
    await using trusting = await startEmbedded({ authorizedKeys: [mine.publicKey] });
    await using _connection = await login(trusting, { identityAgent: agent.socket, identityFile });
    expect(await trusting.log()).toContain("accepted publickey");
    expect(await trusting.log()).not.toContain("refused");
    const failure = await rejectionOf(login(server, { identityAgent: agent.socket, identityFile }));
    const tried = failure.message.split("\n").filter((line) => line.startsWith("  - "));
    expect(tried).toHaveLength(5);
    expect(tried[0]).toContain(`agent key ssh-ed25519 ${mine.fingerprint}`);
    // Offered by the agent already, so not once more from its file.
    expect(failure.message).not.toContain("key file");
  });

  test.skipIf(!hasTier("openssh"))("too many keys: sshd hangs up, and the error says what helps", async () => {
    await using server = await startOpenSsh({ options: ["MaxAuthTries 3"] });
    await using agent = await SshAgent.start();
    await using scratch = await Scratch.make();
    for (const { privateKey } of [...strangers, server]) await agent.add(privateKey);
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { identityAgent: agent.socket })));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toMatch(/did not let \S+ in: Too many authentication failures\./);
    expect(failure.message.match(/agent key/g)).toHaveLength(3);
    expect(failure.message).toContain("2 more keys of the agent could not be tried.");
    expect(failure.hint).toContain("it is offered first");
    const identityFile = await scratch.put("mine", server.privateKey);
    await using connection = await login(server, { identityAgent: agent.socket, identityFile });
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("holds no keys: said so, and key files are tried", async () => {
    await using server = await startEmbedded();
    await using agent = await SshAgent.start();
    const failure = await rejectionOf(login(server, { identityAgent: agent.socket }));
    expect(failure.message).toContain(`the agent at ${agent.socket} holds no keys`);
    await using connection = await loginWithKey(server, { identityAgent: agent.socket });
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("ends before it is asked", async () => {
    await using server = await startEmbedded();
    await using agent = await SshAgent.start();
    await agent.end();
    const failure = await rejectionOf(login(server, { identityAgent: agent.socket }));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain(`the agent at ${agent.socket} cannot be used (Failed to connect to agent)`);
  });
});

describe("an agent", () => {
  test("that is not there: said so, and key files are tried", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    const identityAgent = scratch.path("no-agent");
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { identityAgent })));
    expect(failure).toMatchObject({ code: "auth-failed" });
    expect(failure.message).toContain(`the agent at ${identityAgent} cannot be used (Failed to connect to agent)`);
    await using connection = await loginWithKey(server, { identityAgent });
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("that never answers is given up after a while, and key files are tried", async () => {
    await using server = await startEmbedded();
    await using agent = await SilentAgent.start();
    await withFakeTimeouts(async (pass) => {
      const connecting = loginWithKey(server, { identityAgent: agent.socket });
      await eventually(() => agent.clients.size === 1, { what: "the agent to be asked" });
      pass(10_000);
      await using connection = await connecting;
      expect(await output(connection, "echo hello")).toBe("hello\n");
      await eventually(() => agent.clients.size === 0, { what: "the agent to be left alone" });
    });
  });

  test.skipIf(!has("ssh-agent"))("that lists its keys and never signs does not outlive the connecting", async () => {
    await using server = await startEmbedded();
    await using behind = await SshAgent.start();
    await behind.add(server.privateKey);
    await using agent = await UnwillingAgent.start(behind);
    await withFakeTimeouts(async (pass) => {
      const failing = rejectionOf(login(server, { identityAgent: agent.socket, connectTimeoutMs: 5_000 }));
      await eventually(() => agent.waiting.size === 1, { what: "the agent to be asked for a signature" });
      pass(5_000);
      const failure = await failing;
      expect(failure.code).toBe("connect-failed");
      expect(failure.message).toContain("did not get past authentication within 5000 ms");
      await eventually(() => agent.waiting.size === 0, { what: "the agent to be left alone" });
    });
  });

  test("that never answers does not outlive the connecting", async () => {
    await using server = await startEmbedded();
    await using agent = await SilentAgent.start();
    await withFakeTimeouts(async (pass) => {
      const failing = rejectionOf(login(server, { identityAgent: agent.socket, connectTimeoutMs: 5_000 }));
      await eventually(() => agent.clients.size === 1, { what: "the agent to be asked" });
      pass(5_000);
      const failure = await failing;
      expect(failure.code).toBe("connect-failed");
      expect(failure.message).toContain("did not get past authentication within 5000 ms");
      await eventually(() => agent.clients.size === 0, { what: "the agent to be left alone" });
    });
  });
});

describe("a password", () => {
  const user = "ann";
  const start = () => startEmbedded({ user, authorizedKeys: [], passwords: { [user]: PASSWORD } });

  test("is asked for after the keys", async () => {
    await using server = await start();
    const password = vi.fn(async () => PASSWORD);
    await using connection = await loginWithKey(server, { password });
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect(password.mock.calls).toEqual([[{ user, host: "127.0.0.1", signal: expect.any(AbortSignal) }]]);
    expect((await server.log()).match(/(refused|accepted) \w+/g)).toEqual(["refused publickey", "accepted password"]);
  });

  test("may be wrong twice", async () => {
    await using server = await start();
    const answers = ["first", "second", PASSWORD];
    await using connection = await login(server, { password: () => answers.shift() });
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect(answers).toEqual([]);
  });

  test("is wrong for the third time", async () => {
    await using server = await start();
    const answers = ["wrong-one", "wrong-two", "wrong-three", PASSWORD];
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { password: () => answers.shift() })));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toMatch(
      /Tried:\n {2}- password of ann\n {2}- password of ann, attempt 2\n {2}- password of ann, attempt 3\nThe server takes: publickey, password\./,
    );
    expect(answers).toEqual([PASSWORD]);
    expectNoSecret(failure, ["wrong-one", "wrong-two", "wrong-three"]);
  });

  test("the same answer twice ends it: nobody is there to type another", async () => {
    await using server = await start();
    const password = vi.fn(() => "wrong-one");
    const failure = await rejectionOf(login(server, { password }));
    expect(failure.code).toBe("auth-failed");
    expect(password).toHaveBeenCalledTimes(2);
    expect((await server.log()).match(/refused password/g)).toHaveLength(1);
  });

  test("no answer ends it", async () => {
    await using server = await start();
    const failure = await rejectionOf(login(server, { password: () => undefined }));
    expect(failure).toMatchObject({ code: "auth-failed" });
    expect(failure.message).toContain("Tried: nothing");
    expect(await server.log()).not.toContain("password");
  });

  test("what the callback throws is the cause", async () => {
    await using server = await start();
    const cause = new RangeError("cancelled");
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { password: () => Promise.reject(cause) })));
    expect(failure).toMatchObject({ code: "auth-failed", cause });
  });

  test("that is no string is refused and not repeated", async () => {
    await using server = await start();
    const password = (() => ({ secret: PASSWORD })) as unknown as () => string;
    const failure = await rejectionOf(login(server, { password }));
    expect(failure).toMatchObject({ code: "auth-failed", cause: { code: "bad-options" } });
    expectNoSecret(failure, [PASSWORD]);
    expect(await server.log()).not.toContain("refused password");
  });

  test("may take longer than `connectTimeoutMs`: a person types it", async () => {
    await using server = await start();
    await withFakeTimeouts(async (pass) => {
      const password = () => {
        pass(600_000);
        return PASSWORD;
      };
      await using connection = await login(server, { password, connectTimeoutMs: 20_000 });
      expect(await output(connection, "echo hello")).toBe("hello\n");
    });
  });

  test("nobody is asked where the server takes none", async () => {
    await using server = await startEmbedded();
    const password = vi.fn(() => PASSWORD);
    const failure = await rejectionOf(login(server, { password }));
    expect(failure.message).toContain("The server takes: publickey.");
    expect(password).not.toHaveBeenCalled();
  });

  test("a caller who gives up while it is asked for is heard, and so is the callback", async () => {
    await using server = await start();
    const giveUp = new AbortController();
    const asked: AbortSignal[] = [];
    const password = ({ signal }: { signal: AbortSignal }) => {
      asked.push(signal);
      giveUp.abort();
      return new Promise<string>(() => {});
    };
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { password }, giveUp.signal)));
    expect(failure.code).toBe("aborted");
    expect(asked.map(({ aborted }) => aborted)).toEqual([true]);
  });
});

describe("keyboard-interactive", () => {
  const keyboardInteractive = { prompts: ["Password: ", "Code: "], answers: [PASSWORD, "424242"] };
  const start = () => startEmbedded({ authorizedKeys: [], keyboardInteractive });

  test("asks what the server asks", async () => {
    await using server = await start();
    const callback = vi.fn(async () => keyboardInteractive.answers);
    await using connection = await login(server, { keyboardInteractive: callback });
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect(callback.mock.calls).toEqual([
      [
        expect.objectContaining({
          prompts: [
            { prompt: "Password: ", echo: false },
            { prompt: "Code: ", echo: false },
          ],
          signal: expect.any(AbortSignal),
        }),
      ],
    ]);
  });

  test("may take longer than `connectTimeoutMs`", async () => {
    await using server = await start();
    await withFakeTimeouts(async (pass) => {
      const slow = () => {
        pass(600_000);
        return keyboardInteractive.answers;
      };
      await using connection = await login(server, { keyboardInteractive: slow, connectTimeoutMs: 20_000 });
      expect(await output(connection, "echo hello")).toBe("hello\n");
    });
  });

  test.each<[what: string, answers: unknown, again: string]>([
    ["wrong answers", [PASSWORD, "000000"], "\n  - keyboard-interactive, attempt 2"],
    ["too few answers", [PASSWORD], "\n  - keyboard-interactive, attempt 2"],
    ["no answers", undefined, ""],
  ])("%s: said so, without the answers, and the same ones are not tried for ever", async (_what, answers, again) => {
    await using server = await start();
    const failure = await leavesNoTrace(() =>
      rejectionOf(login(server, { keyboardInteractive: () => answers as string[] | undefined })),
    );
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain(
      `Tried:\n  - keyboard-interactive${again}\nThe server takes: publickey, keyboard-interactive.`,
    );
    expectNoSecret(failure, [PASSWORD, "000000"]);
  });

  test.each<[what: string, answer: () => unknown]>([
    ["a string", () => PASSWORD],
    ["numbers", () => [PASSWORD, 424242]],
    [
      "nothing but a throw",
      () => {
        throw new RangeError("cancelled");
      },
    ],
  ])("%s ends it all: no other way is tried", async (_what, answer) => {
    await using server = await startEmbedded({
      user: "ann",
      authorizedKeys: [],
      keyboardInteractive,
      passwords: { ann: PASSWORD },
    });
    const password = vi.fn(() => PASSWORD);
    const failure = await leavesNoTrace(() =>
      rejectionOf(login(server, { keyboardInteractive: answer as () => string[], password })),
    );
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain("One of the callbacks threw");
    expect(failure.cause).toBeInstanceOf(Error);
    expect(password).not.toHaveBeenCalled();
    expectNoSecret(failure, [PASSWORD]);
  });

  test("is tried before the password", async () => {
    await using server = await startEmbedded({
      user: "ann",
      authorizedKeys: [],
      keyboardInteractive,
      passwords: { ann: PASSWORD },
    });
    await using connection = await login(server, { keyboardInteractive: () => undefined, password: () => PASSWORD });
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect((await server.log()).match(/(refused|accepted) [\w-]+/g)).toEqual([
      "refused none",
      "refused keyboard-interactive",
      "accepted password",
    ]);
  });
});

test.skipIf(!hasTier("openssh"))("a server that wants two keys gets two", async () => {
  await using server = await startOpenSsh({ options: ["AuthenticationMethods publickey,publickey"] });
  await using scratch = await Scratch.make();
  const second = generateKey("ecdsa");
  await appendFile(join(dirname(server.identityFile), "authorized_keys"), `${second.publicKey}\n`);
  const identityFile = [server.identityFile, await scratch.put("second", second.privateKey)];
  await using connection = await login(server, { identityFile });
  expect(await output(connection, "echo hello")).toBe("hello\n");
  const failure = await rejectionOf(loginWithKey(server));
  expect(failure).toMatchObject({
    code: "auth-failed",
    message: expect.stringContaining("The server takes: publickey."),
  });
});

describe.skipIf(!hasTier("openssh"))("a key exchange in the middle of a connection", () => {
  test("asks nobody about the host key again, and loses nothing", async () => {
    await using server = await startOpenSsh({ options: ["RekeyLimit 1M"], logLevel: "DEBUG1" });
    await using connection = await loginWithKey(server);
    const text = await output(connection, "yes 0123456789 | head -c 6000000");
    expect(text === "0123456789\n".repeat(545_455).slice(0, 6_000_000)).toBe(true);
    expect(connection.lost.aborted).toBe(false);
    expect((await server.log()).match(/SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(2);
  });
});

describe.each(serverKinds.filter(({ available }) => available))("a host key, over $name", ({ name }) => {
  const { fingerprint, publicKey } = generateKey("ed25519");
  const start = () => (name === "embedded" ? startEmbedded() : startOpenSsh({ logLevel: "DEBUG1" }));

  test.each<[what: string, code: string, options: (line: string) => ConnectOptions]>([
    ["that nothing vouches for", "host-key-unknown", () => ({ userKnownHostsFile: [] })],
    ["that is not the pinned one", "host-key-changed", () => ({ hostKeyFingerprints: [fingerprint] })],
  ])("%s: refused, and nothing was sent", async (_what, code, options) => {
    await using server = await start();
    const password = vi.fn(() => PASSWORD);
    const passphrase = vi.fn(() => PASSPHRASE);
    const more = { identityFile: server.identityFile, password, passphrase, ...options("") };
    const failure = await leavesNoTrace(() => rejectionOf(login(server, more)));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(server.hostKeyFingerprint);
    await expectNoLogin(server);
    expect(password).not.toHaveBeenCalled();
    expect(passphrase).not.toHaveBeenCalled();
  });

  test("that has changed: refused with `accept-new` too, and nothing was sent", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    const line = `[127.0.0.1]:${server.port} ${publicKey}\n`;
    const userKnownHostsFile = await scratch.put("known_hosts", line);
    const more: ConnectOptions = { userKnownHostsFile, strictHostKeyChecking: "accept-new" };
    const failure = await leavesNoTrace(() => rejectionOf(loginWithKey(server, more)));
    expect(failure.code).toBe("host-key-changed");
    await expectNoLogin(server);
  });

  test("that is revoked: refused although it is pinned, and nothing was sent", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    const userKnownHostsFile = await scratch.put(
      "known_hosts",
      `@revoked ${await readFile(server.knownHostsFile, "utf8")}`,
    );
    const more = { userKnownHostsFile, hostKeyFingerprints: [server.hostKeyFingerprint] };
    const failure = await leavesNoTrace(() => rejectionOf(loginWithKey(server, more)));
    expect(failure.code).toBe("host-key-revoked");
    await expectNoLogin(server);
  });

  test("that is new: recorded with `accept-new`, and known from then on", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    const userKnownHostsFile = scratch.path("known_hosts");
    await (await loginWithKey(server, { userKnownHostsFile, strictHostKeyChecking: "accept-new" })).close();
    await using connection = await loginWithKey(server, { userKnownHostsFile });
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("that is pinned: no file is needed", async () => {
    await using server = await start();
    const more = { userKnownHostsFile: [], hostKeyFingerprints: [fingerprint, server.hostKeyFingerprint] };
    await using connection = await loginWithKey(server, more);
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  async function expectNoLogin(server: { log(): Promise<string> }): Promise<void> {
    const log = await server.log();
    expect(log).toMatch(name === "embedded" ? /is here/ : /SSH2_MSG_KEXINIT sent|kex: /);
    expect(log).not.toMatch(/refused|accepted|userauth-request/);
  }
});
