import { userInfo } from "node:os";
import type { AnyAuthMethod, ConnectConfig } from "ssh2";
import { describe, expect, test } from "vitest";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import { type EmbeddedServerOptions, startEmbeddedServer } from "../../src/demo/embedded-server.ts";
import { PlainClient } from "./client.ts";

const { username } = userInfo();
const stranger = generateKey("ed25519");
const friend = generateKey("ecdsa");

/** What tells ssh2 that there is no other way; its types do not know of it. */
const NO_MORE = false as unknown as AnyAuthMethod;

/** Logs in with this and nothing else. */
const only = (method: AnyAuthMethod): ConnectConfig => {
  const methods = [method];
  return { authHandler: (_left, _partial, next) => next(methods.pop() ?? NO_MORE) };
};
const password = (word: string) => only({ type: "password", username, password: word });
const key = (privateKey: string) => only({ type: "publickey", username, key: privateKey });
const answers = (...given: string[]) =>
  only({
    type: "keyboard-interactive",
    username,
    prompt: (_name, _instructions, _language, prompts, finish) => {
      finish(prompts.map((_prompt, index) => given[index] ?? ""));
    },
  });

const questions = { prompts: ["Password: ", "Code: "], answers: ["tree", "42"] };

/** Options, a way to log in, and whether the door opens. */
const CASES: [what: string, EmbeddedServerOptions, ConnectConfig, boolean][] = [
  ["the generated key", {}, {}, true],
  ["the generated key under another name", {}, { username: "nobody-else" }, false],
  ["the generated key where none is authorized", { authorizedKeys: [] }, {}, false],
  ["a stranger's key", {}, key(stranger.privateKey), false],
  ["an authorized key", { authorizedKeys: [stranger.publicKey, friend.publicKey] }, key(friend.privateKey), true],
  ["the right password", { passwords: { [username]: "tree" } }, password("tree"), true],
  ["a wrong password", { passwords: { [username]: "tree" } }, password("bush"), false],
  ["somebody else's password", { passwords: { other: "tree" } }, password("tree"), false],
  ["no password at all", {}, password(""), false],
  ["the right answers", { keyboardInteractive: questions }, answers("tree", "42"), true],
  ["wrong answers", { keyboardInteractive: questions }, answers("tree", "41"), false],
  ["too few answers", { keyboardInteractive: questions }, answers("tree"), false],
  ["nothing", {}, { authHandler: ["none"] }, false],
];

describe("the embedded server's login", () => {
  test.each(CASES)("%s", async (_what, options, config, opens) => {
    await using server = await startEmbeddedServer(options);
    const attempt = PlainClient.connect(server, config);
    if (opens) {
      await using client = await attempt;
      expect(await client.run("true")).toMatchObject({ code: 0 });
    } else {
      await expect(attempt).rejects.toMatchObject({ level: "client-authentication" });
    }
  });
});
