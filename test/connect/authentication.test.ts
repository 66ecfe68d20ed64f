import { execFile } from "node:child_process";
import { appendFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test, vi } from "vitest";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import { startAsyncSsh } from "../servers/asyncssh.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { rejectionOf } from "./failure-of.ts";
import { expectNoSecret, login, loginWithKey } from "./login.ts";
import { Scratch } from "./scratch.ts";
import { SshAgent } from "./ssh-agent.ts";
import { leavesNoTrace } from "./traces.ts";

const PASSWORD = "plugh-hunter2";

/** Also lets this key in. */
async function welcome({ identityFile }: TestServer, { publicKey }: { publicKey: string }): Promise<void> {
  await appendFile(join(dirname(identityFile), "authorized_keys"), `${publicKey}\n`);
}

/** How often the server was shown a key, by its own log. */
async function offers(server: TestServer): Promise<number> {
  return (await server.log()).match(/userauth_pubkey: publickey test pkalg/g)?.length ?? 0;
}

describe.skipIf(!hasTier("openssh") || !has("ssh-agent"))("an agent with two hundred keys", () => {
  test("works if `identityFile` names the right one, which is then the only one that is shown", async () => {
    await using server = await startOpenSsh({ logLevel: "DEBUG1" });
    await using agent = await SshAgent.start();
    await using scratch = await Scratch.make();
    const mine = generateKey("ed25519");
    await welcome(server, mine);
    await agent.addAll([...Array.from({ length: 199 }, () => generateKey("ed25519")), mine]);
    const identityFile = scratch.path("mine");
    await scratch.put("mine.pub", `${mine.publicKey} me@home\n`);
    await leavesNoTrace(async () => {
      await using _connection = await login(server, { identityAgent: agent.socket, identityFile });
    });
    expect(await offers(server)).toBe(1);
  });

  test("is too much otherwise: as many are shown as with ssh, and the error says what helps", async () => {
    await using server = await startOpenSsh({ logLevel: "DEBUG1" });
    await using agent = await SshAgent.start();
    const mine = generateKey("ed25519");
    await welcome(server, mine);
    await agent.addAll([...Array.from({ length: 199 }, () => generateKey("ed25519")), mine]);
    const failure = await leavesNoTrace(() => rejectionOf(login(server, { identityAgent: agent.socket })));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toMatch(/did not let \S+ in: Too many authentication failures\./);
    const ours = await offers(server);
    expect(failure.message.match(/- agent key/g)).toHaveLength(ours);
    expect(failure.message).toContain(`${200 - ours} more keys of the agent could not be tried.`);
    expect(failure.hint).toContain("name the right one in `identityFile`");
    const said = await ssh(server, `IdentityAgent=${agent.socket}`);
    expect(said).toContain("Too many authentication failures");
    expect((await offers(server)) - ours).toBe(ours);
  });

  test("`identitiesOnly` leaves all others out", async () => {
    await using server = await startOpenSsh({ logLevel: "DEBUG1" });
    await using agent = await SshAgent.start();
    await using scratch = await Scratch.make();
    const [first, second, ...others] = Array.from({ length: 20 }, () => generateKey("ed25519"));
    if (!first || !second) throw new TypeError("There are no keys.");
    await agent.addAll([...others, second, first]);
    const identityFile = [
      await scratch.put("first", first.privateKey),
      await scratch.put("second.pub", `${second.publicKey}\n`),
    ];
    const more = { identityAgent: agent.socket, identityFile, identitiesOnly: true };
    const failure = await rejectionOf(login(server, more));
    const tried = failure.message.match(/SHA256:\S+/g);
    expect(tried).toEqual([second.fingerprint, first.fingerprint]);
    expect(await offers(server)).toBe(2);
    const files = identityFile.map((file) => `IdentityFile=${file}`);
    await ssh(server, `IdentityAgent=${agent.socket}`, "IdentitiesOnly=yes", ...files);
    expect(await offers(server)).toBe(4);
  });
});

describe.skipIf(!hasTier("accounts"))("steps", () => {
  const methods = (list: string) =>
    startOpenSsh({
      options: [`AuthenticationMethods ${list}`, "PasswordAuthentication yes", "PermitRootLogin yes"],
      logLevel: "DEBUG1",
      account: { home: homedir(), password: PASSWORD },
    });

  test.each(["publickey,password", "password,publickey"])("%s, with a key file", async (list) => {
    await using server = await methods(list);
    const password = vi.fn(() => PASSWORD);
    await leavesNoTrace(async () => {
      await using connection = await loginWithKey(server, { password });
      expect(connection.lost.aborted).toBe(false);
    });
    expect(password).toHaveBeenCalledTimes(1);
  });

  test.each(["publickey,password", "password,publickey"])("%s, with an agent of many keys", async (list) => {
    await using server = await methods(list);
    await using agent = await SshAgent.start();
    await using scratch = await Scratch.make();
    const mine = generateKey("ed25519");
    await welcome(server, mine);
    await agent.addAll([...Array.from({ length: 20 }, () => generateKey("ed25519")), mine]);
    const identityFile = await scratch.put("mine.pub", mine.publicKey);
    const password = vi.fn(() => PASSWORD);
    await using connection = await login(server, { identityAgent: agent.socket, identityFile, password });
    expect(connection.lost.aborted).toBe(false);
    expect(password).toHaveBeenCalledTimes(1);
    expect(await offers(server)).toBeLessThanOrEqual(2);
  });

  test("publickey,publickey, both held by an agent", async () => {
    await using server = await methods("publickey,publickey");
    await using agent = await SshAgent.start();
    const [first, second] = [generateKey("ed25519"), generateKey("ecdsa")];
    await welcome(server, first);
    await welcome(server, second);
    await agent.addAll([generateKey("ed25519"), first, generateKey("ed25519"), second]);
    await using connection = await login(server, { identityAgent: agent.socket });
    expect(connection.lost.aborted).toBe(false);
  });

  test("what is missing is told, and what was right", async () => {
    await using server = await methods("publickey,password");
    const failure = await leavesNoTrace(() => rejectionOf(loginWithKey(server, { password: () => "wrong-one" })));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toMatch(
      /- key file \S+ ssh-ed25519 \S+\n {2}- that was right, and the server wants more\n {2}- password of \S+\nThe server takes: password\./,
    );
    expectNoSecret(failure, ["wrong-one"]);
  });

  test("`preferredAuthentications` sets the order, and leaves out what it does not name", async () => {
    await using server = await methods("any");
    const password = vi.fn(() => PASSWORD);
    await using _first = await loginWithKey(server, { password, preferredAuthentications: "password,publickey" });
    expect(password).toHaveBeenCalledTimes(1);
    expect(await offers(server)).toBe(0);
    const failure = await rejectionOf(
      loginWithKey(server, { password, preferredAuthentications: "keyboard-interactive,gssapi-with-mic" }),
    );
    expect(failure.message).toMatch(/Tried: nothing\nThe server takes: publickey, ?password/);
  });

  test("`numberOfPasswordPrompts` is how often it is asked for", async () => {
    await using server = await methods("any");
    let count = 0;
    const password = vi.fn(() => `wrong-${count++}`);
    const failure = await rejectionOf(login(server, { password, numberOfPasswordPrompts: 1 }));
    expect(failure.code).toBe("auth-failed");
    expect(password).toHaveBeenCalledTimes(1);
    expect((await rejectionOf(login(server, { password, numberOfPasswordPrompts: 5 }))).code).toBe("auth-failed");
    expect(password).toHaveBeenCalledTimes(6);
  });
});

describe.skipIf(!hasTier("openssh"))("`pubkeyAcceptedAlgorithms`", () => {
  test.each(["rsa-sha2-512", "rsa-sha2-256"])(
    "%s is what an RSA key signs with, from a file and from an agent",
    async (name) => {
      await using server = await startOpenSsh({ logLevel: "DEBUG1" });
      await using agent = await SshAgent.start();
      await using scratch = await Scratch.make();
      const key = generateKey("rsa");
      await welcome(server, key);
      await agent.addAll([key]);
      const identityFile = await scratch.put("rsa", key.privateKey);
      for (const more of [{ identityFile }, { identityAgent: agent.socket }]) {
        await using _connection = await login(server, { ...more, pubkeyAcceptedAlgorithms: `${name},ssh-ed25519` });
      }
      const used = (await server.log()).match(/pkalg (\S+)/g);
      expect(new Set(used)).toEqual(new Set([`pkalg ${name}`]));
    },
  );

  test("leaves out keys of other types, and says so", async () => {
    await using server = await startOpenSsh();
    const said: string[] = [];
    const failure = await rejectionOf(
      loginWithKey(server, {
        pubkeyAcceptedAlgorithms: "rsa-sha2-512,sk-ssh-ed25519@openssh.com,rsa-sha3",
        onNotice: (text) => said.push(text),
      }),
    );
    expect(failure.message).toMatch(/key file \S+ ssh-ed25519 SHA256:\S+ .*was left out: `pubkeyAcceptedAlgorithms`/);
    expect(said).toEqual(["ssh2 does not have rsa-sha3, which `pubkeyAcceptedAlgorithms` names."]);
    expect(await rejectionOf(loginWithKey(server, { pubkeyAcceptedAlgorithms: "x" }))).toMatchObject({
      code: "config-error",
    });
  });
});

describe.skipIf(!hasTier("asyncssh"))(
  "keyboard-interactive with two questions in one, of a server that is not ssh2's",
  () => {
    const questions = [
      ["Password: ", PASSWORD],
      ["Code: ", "424242"],
    ] as const;

    test("both are asked together, and open the account", async () => {
      await using server = await startAsyncSsh(questions);
      const answer = vi.fn(() => [PASSWORD, "424242"]);
      await leavesNoTrace(async () => {
        await using connection = await login(server, { keyboardInteractive: answer });
        expect(connection.lost.aborted).toBe(false);
      });
      expect(answer.mock.calls).toEqual([
        [
          {
            user: server.user,
            host: server.host,
            name: "Questions",
            instructions: "Answer them all.",
            prompts: questions.map(([prompt]) => ({ prompt, echo: false })),
            signal: expect.any(AbortSignal),
          },
        ],
      ]);
    });

    test("what is wrong may be mended, as often as `numberOfPasswordPrompts` says", async () => {
      await using server = await startAsyncSsh(questions);
      const codes = ["1", "2", "424242"];
      const answer = vi.fn(() => [PASSWORD, codes.shift() ?? ""]);
      const failure = await rejectionOf(login(server, { keyboardInteractive: answer, numberOfPasswordPrompts: 2 }));
      expect(failure.message).toContain(
        "- keyboard-interactive\n  - keyboard-interactive, attempt 2\nThe server takes",
      );
      expect(answer).toHaveBeenCalledTimes(2);
      codes.unshift("3");
      await using connection = await login(server, { keyboardInteractive: answer });
      expect(connection.lost.aborted).toBe(false);
      expect(answer).toHaveBeenCalledTimes(4);
    });
  },
);

test("`batchMode` asks nobody", async () => {
  const user = "ann";
  const keyboardInteractive = { prompts: ["Code: "], answers: ["424242"] };
  await using server = await startEmbedded({
    user,
    authorizedKeys: [],
    passwords: { [user]: PASSWORD },
    keyboardInteractive,
  });
  await using scratch = await Scratch.make();
  const never = vi.fn(() => undefined);
  const confirmHostKey = vi.fn(() => true);
  const people = { password: never, passphrase: never, keyboardInteractive: never, confirmHostKey, batchMode: true };
  const failure = await rejectionOf(login(server, people));
  expect(failure).toMatchObject({ code: "auth-failed" });
  expect(failure.message).toContain("Tried: nothing\nThe server takes: publickey, password, keyboard-interactive.");
  const userKnownHostsFile = scratch.path("known_hosts");
  expect(await rejectionOf(login(server, { ...people, userKnownHostsFile }))).toMatchObject({
    code: "host-key-unknown",
  });
  expect(never).not.toHaveBeenCalled();
  expect(confirmHostKey).not.toHaveBeenCalled();
});

/** What the real client says when it logs in to the server with these settings and nothing else. */
async function ssh(server: TestServer, ...options: string[]): Promise<string> {
  const all = [
    `UserKnownHostsFile=${server.knownHostsFile}`,
    "GlobalKnownHostsFile=/dev/null",
    "BatchMode=yes",
    "IdentityFile=/nonexistent",
    ...options,
  ].flatMap((option) => ["-o", option]);
  const command = ["-F", "none", ...all, "-p", String(server.port), `${server.user}@${server.host}`, "true"];
  return promisify(execFile)("ssh", command).then(
    () => "",
    (failure: { stderr: string }) => failure.stderr,
  );
}
