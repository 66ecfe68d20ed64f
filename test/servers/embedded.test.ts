import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import ssh2 from "ssh2";
import { describe, expect, test } from "vitest";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import { startEmbeddedServer } from "../../src/demo/embedded-server.ts";
import { eventually } from "../tools/eventually.ts";
import { firstLine, PlainClient } from "./client.ts";
import { serverContract } from "./contract.ts";
import { startEmbedded } from "./embedded.ts";
import { serverKinds } from "./kinds.ts";

for (const kind of serverKinds.filter(({ name }) => name === "embedded")) serverContract(kind);

describe("startEmbeddedServer", () => {
  test("counts what is open", async () => {
    await using server = await startEmbeddedServer();
    const counts = () => [server.connections, server.accepted, server.channels, server.forwards];
    expect(counts()).toEqual([0, 0, 0, 0]);
    const client = await PlainClient.connect(server);
    const channel = await client.start("echo up; cat");
    await firstLine(channel);
    const port = await client.listenPort();
    expect(counts()).toEqual([1, 1, 1, 1]);
    await client.unlistenPort(port);
    expect(counts()).toEqual([1, 1, 1, 0]);
    await client[Symbol.asyncDispose]();
    await server.close();
    expect(counts()).toEqual([0, 1, 0, 0]);
  });

  test("writes its files for one pair of eyes, and takes them along", async () => {
    const server = await startEmbeddedServer({ extraHostKeys: ["rsa", "ecdsa"] });
    const { directory, identityFile, knownHostsFile } = await server.writeFiles();
    expect(await server.writeFiles()).toEqual({ directory, identityFile, knownHostsFile });
    expect(await readFile(identityFile, "utf8")).toBe(server.privateKey);
    expect((await readFile(knownHostsFile, "utf8")).trim().split("\n")).toEqual(server.knownHostsLines);
    expect(server.knownHostsLines[0]).toBe(server.knownHostsLine);
    expect(server.knownHostsLines.map((line) => line.split(" ").slice(0, 2))).toEqual(
      ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"].map((type) => [`[127.0.0.1]:${server.port}`, type]),
    );
    expect([directory, identityFile, knownHostsFile].map((path) => statSync(path).mode & 0o777)).toEqual([
      0o700, 0o600, 0o600,
    ]);
    await server.close();
    expect(() => statSync(dirname(identityFile))).toThrow("ENOENT");
  });

  test.each([
    [["ssh-ed25519"], "ssh-ed25519"],
    [["rsa-sha2-256"], "ssh-rsa"],
    [["ecdsa-sha2-nistp256", "ssh-ed25519"], "ecdsa-sha2-nistp256"],
  ] as const)("shows the host key that the client wants first: %j", async (serverHostKey, type) => {
    await using server = await startEmbeddedServer({ extraHostKeys: ["rsa", "ecdsa"] });
    let shown: ssh2.ParsedKey | Error | undefined;
    const client = await PlainClient.connect(server, {
      algorithms: { serverHostKey: [...serverHostKey] },
      hostVerifier: (key: Buffer) => {
        shown = ssh2.utils.parseKey(key);
        return true;
      },
    });
    await client[Symbol.asyncDispose]();
    expect(shown).toMatchObject({ type });
    expect(server.knownHostsLines.join("\n")).toContain((shown as ssh2.ParsedKey).getPublicSSH().toString("base64"));
  });

  test("prints what start-up files would print, before everything else", async () => {
    await using server = await startEmbedded({ rcNoise: { stdout: "Welcome!\n", stderr: "stty: no tty\n" } });
    await using client = await PlainClient.connect(server);
    expect(await client.run("echo out; echo err >&2")).toMatchObject({
      stdout: "Welcome!\nout\n",
      stderr: "stty: no tty\nerr\n",
    });
    expect(await server.log()).toContain("echo out; echo err >&2");
  });

  test("runs the login shell that it was told, and says so when there is none", async () => {
    for (const [loginShell, outcome] of [
      ["/bin/echo", { stdout: "-c exit 5\n", code: 0 }],
      ["/no/such/shell", { stderr: "spawn /no/such/shell ENOENT\n", code: 1 }],
    ] as const) {
      await using server = await startEmbeddedServer({ loginShell });
      await using client = await PlainClient.connect(server);
      expect(await client.run("exit 5")).toMatchObject(outcome);
    }
  });

  test("refuses a terminal, and lets go of a session in which nothing was started", async () => {
    await using server = await startEmbeddedServer({ maxSessions: 1 });
    const packets: string[] = [];
    await using client = await PlainClient.connect(server, { debug: (line: string) => packets.push(line) });
    const refused = new Promise((resolve) => client.ssh.exec("true", { pty: true }, resolve));
    expect(await refused).toMatchObject({ message: "Unable to request a pseudo-terminal" });
    await eventually(() => packets.some((line) => line.startsWith("Inbound: CHANNEL_CLOSE")), {
      what: "the server to answer the close",
    });
    expect(await client.run("echo well")).toMatchObject({ stdout: "well\n" });
  });

  test("gives an interactive shell without a terminal", async () => {
    await using server = await startEmbeddedServer();
    await using client = await PlainClient.connect(server);
    const shell = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
      client.ssh.shell(false, (failure, channel) => (failure ? reject(failure) : resolve(channel)));
    });
    shell.write("echo $0 is up\n");
    expect(await firstLine(shell)).toBe("-sh is up");
    shell.end();
  });
});

describe("generateKey", () => {
  test("never makes a key that cannot be read", () => {
    for (let made = 0; made < 1000; made += 1) {
      const { privateKey, publicKey, fingerprint } = generateKey("ed25519");
      expect(ssh2.utils.parseKey(privateKey)).not.toBeInstanceOf(Error);
      expect(Buffer.from(publicKey.split(" ")[1] ?? "", "base64").length).toBe(51);
      expect(fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    }
  });
});
