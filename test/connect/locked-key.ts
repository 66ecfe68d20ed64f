import { execFile } from "node:child_process";
import { promisify } from "node:util";
import ssh2 from "ssh2";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import type { Scratch } from "./scratch.ts";

/** A server, and the key that opens it under a passphrase. */
export interface Locked {
  readonly server: TestServer;
  readonly identityFile: string;
}

/** Starts a server of one kind whose key has a passphrase; OpenSSH's own tool wrote the key of sshd. */
export async function startLocked(kind: string, scratch: Scratch, passphrase: string): Promise<Locked> {
  if (kind === "embedded") {
    const pair = lockedPair(passphrase);
    const identityFile = await scratch.put("locked", pair.private);
    return { server: await startEmbedded({ authorizedKeys: [pair.public] }), identityFile };
  }
  const server = await startOpenSsh();
  const identityFile = await scratch.put("locked", server.privateKey);
  await promisify(execFile)("ssh-keygen", ["-q", "-p", "-P", "", "-N", passphrase, "-f", identityFile]);
  return { server, identityFile };
}

function lockedPair(passphrase: string): { public: string; private: string } {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519", { passphrase, cipher: "aes256-cbc", rounds: 4 });
    // ssh2 1.17.0 makes one in three hundred that it cannot read.
    if (!(ssh2.utils.parseKey(pair.private, passphrase) instanceof Error)) return pair;
  }
}
