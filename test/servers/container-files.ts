import { createHash } from "node:crypto";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateKey } from "../../src/demo/embedded/keys.ts";

/** What this side keeps for one container. */
export interface ContainerFiles {
  readonly directory: string;
  readonly identityFile: string;
  readonly privateKey: string;
  readonly knownHostsFile: string;
  /** The line that lets the key in. */
  readonly authorizedKey: string;
  /** Where the tests' own plugins are. */
  readonly fixtures: string;
  /** Known once the container has said its host key. */
  readonly hostKeyFingerprint: string;
  /** Takes the host key from what the container says. */
  know(port: number, says: string): Promise<void>;
}

/** Makes a key for the login to a container, in a fresh directory. */
export async function writeContainerFiles({ keyOptions = "" }: { keyOptions?: string }): Promise<ContainerFiles> {
  const directory = await mkdtemp(join(tmpdir(), "gpc-"));
  const client = generateKey("ed25519");
  const identityFile = join(directory, "id_ed25519");
  const knownHostsFile = join(directory, "known_hosts");
  await writeFile(identityFile, client.privateKey, { mode: 0o600 });
  let hostKeyFingerprint = "";
  return {
    directory,
    identityFile,
    privateKey: client.privateKey,
    knownHostsFile,
    authorizedKey: `${keyOptions} ${client.publicKey}`.trim(),
    fixtures: fileURLToPath(new URL("../fixtures", import.meta.url)),
    get hostKeyFingerprint() {
      return hostKeyFingerprint;
    },
    know: async (port, says) => {
      const [, type, blob = ""] = /^Host key: (ssh-\S+) (\S+)/m.exec(says) ?? [];
      if (!type) throw new Error(`The container did not say its host key:\n${says}`);
      const digest = createHash("sha256").update(Buffer.from(blob, "base64")).digest("base64");
      hostKeyFingerprint = `SHA256:${digest.replace(/=+$/, "")}`;
      await writeFile(knownHostsFile, `[127.0.0.1]:${port} ${type} ${blob}\n`);
    },
  };
}
