import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { resolveSettings } from "../../../src/connect/config/resolve-settings.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import { Prompts } from "../../../src/connect/openssh/prompts.ts";
import { startEmbedded } from "../../servers/embedded.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { processesWith } from "../../tools/leaks.ts";
import { rejectionOf } from "../failure-of.ts";
import { startLocked } from "../locked-key.ts";
import { expectNoSecret, login, loginWithKey } from "../login.ts";
import { Scratch } from "../scratch.ts";

const BY_SSH: ConnectOptions = { backend: "openssh", configFile: "none" };
const SECRET = "correct horse, battery $taple";

describe.skipIf(!hasTier("openssh"))("the system's ssh asks", () => {
  test("for the passphrase of a key, and shows it to nobody", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked("openssh", scratch, SECRET);
    await using _ = server;
    const asked: string[] = [];
    const passphrase = ({ file }: { file: string }) => {
      asked.push(file);
      expect(processesWith(SECRET)).toEqual([]);
      return SECRET;
    };
    await using connection = await login(server, { ...BY_SSH, identityFile, passphrase });
    expect(asked).toEqual([identityFile]);
    expect(processesWith(SECRET)).toEqual([]);
    expectNoSecret(connection, [SECRET]);
  });

  test("no longer than there are answers", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked("openssh", scratch, SECRET);
    await using _ = server;
    const failure = await rejectionOf(login(server, { ...BY_SSH, identityFile, passphrase: () => undefined }));
    expect(failure.code).toBe("auth-failed");
    expectNoSecret(failure, [SECRET]);
  });

  test("and a callback that throws ends the connecting, with what it threw", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked("openssh", scratch, SECRET);
    await using _ = server;
    const mistake = new TypeError("a mistake");
    const passphrase = () => {
      throw mistake;
    };
    const failure = await rejectionOf(login(server, { ...BY_SSH, identityFile, passphrase }));
    expect(failure.code).toBe("auth-failed");
    expect(failure.cause).toBe(mistake);
  });

  test("and shows a notice, whatever the callback for it throws", async () => {
    await using scratch = await Scratch.make();
    const shown: string[] = [];
    const onNotice = (text: string) => {
      shown.push(text);
      throw new TypeError("a mistake");
    };
    const settings = await resolveSettings("ann@box.example", { configFile: "none", onNotice });
    const failed: true[] = [];
    const prompts = new Prompts(
      settings,
      () => Promise.reject(new TypeError("nobody")),
      () => failed.push(true),
    );
    await prompts.listen(scratch.path("a"));
    const socket = connect(scratch.path("a"));
    socket.write(`${JSON.stringify({ text: "Touch your key ", kind: "none" })}\n`);
    await eventually(() => shown.length > 0, { what: "the notice" });
    expect([shown, prompts.failure, failed]).toEqual([["Touch your key"], undefined, []]);
    prompts.close();
    await once(socket, "close");
  });

  test("for nothing in batch mode", async () => {
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked("openssh", scratch, SECRET);
    await using _ = server;
    let asked = 0;
    const passphrase = () => {
      asked += 1;
      return SECRET;
    };
    const failure = await rejectionOf(login(server, { ...BY_SSH, identityFile, passphrase, batchMode: true }));
    expect([failure.code, asked]).toEqual(["auth-failed", 0]);
  });

  test("for a password, and again after a wrong one", async () => {
    await using server = await startEmbedded({ authorizedKeys: [], passwords: { ann: SECRET }, user: "ann" });
    const given = ["wrong", SECRET];
    const asked: object[] = [];
    await using connection = await login(server, {
      ...BY_SSH,
      password: ({ user, host }) => {
        asked.push({ user, host });
        return given.shift();
      },
    });
    expect(asked).toEqual(Array(2).fill({ user: "ann", host: "127.0.0.1" }));
    expectNoSecret(connection, [SECRET]);
  });

  test("what the server asks, one by one", async () => {
    const keyboardInteractive = { prompts: ["Password: ", "Code: "], answers: ["tree", "42"] };
    await using server = await startEmbedded({ authorizedKeys: [], keyboardInteractive });
    const asked: string[] = [];
    await using connection = await login(server, {
      ...BY_SSH,
      keyboardInteractive: ({ prompts }) => {
        asked.push(...prompts.map(({ prompt }) => prompt));
        return prompts.map(({ prompt }) => (prompt === "Code: " ? "42" : "tree"));
      },
    });
    expect(asked).toEqual(["Password: ", "Code: "]);
    expect(connection.lost.aborted).toBe(false);
  });

  test("but a server's question is not taken for one of ssh's own", async () => {
    const trick = "Enter passphrase for key '/home/ann/.ssh/id_ed25519': ";
    const keyboardInteractive = { prompts: [trick], answers: ["nothing"] };
    await using server = await startEmbedded({ authorizedKeys: [], keyboardInteractive });
    const asked: string[] = [];
    const failure = await rejectionOf(
      login(server, {
        ...BY_SSH,
        passphrase: ({ file }) => {
          asked.push(file);
          return SECRET;
        },
        keyboardInteractive: () => ["something else"],
      }),
    );
    expect([failure.code, asked]).toEqual(["auth-failed", []]);
  });

  test.each([
    [true, undefined],
    [false, "host-key-unknown"],
  ])("about a new host key, and the answer %s counts", async (answer, code) => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh();
    const file = scratch.path("known_hosts");
    const asked: object[] = [];
    const connecting = loginWithKey(server, {
      ...BY_SSH,
      userKnownHostsFile: file,
      confirmHostKey: ({ signal: _, ...question }) => {
        asked.push(question);
        return answer;
      },
    });
    if (code === undefined) await (await connecting).close();
    else expect((await rejectionOf(connecting)).code).toBe(code);
    const { host, port, hostKeyFingerprint: fingerprint } = server;
    expect(asked).toEqual([{ host, port, type: "ssh-ed25519", fingerprint, file }]);
    const recorded = await readFile(file, "utf8").catch(() => "");
    expect(recorded.includes(`[${host}]:${port} ssh-ed25519`)).toBe(answer);
  });
});
