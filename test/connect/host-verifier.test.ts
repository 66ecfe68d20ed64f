import ssh2 from "ssh2";
import { expect, test } from "vitest";
import type { AskPerson } from "../../src/connect/ask-person.ts";
import { HostVerifier } from "../../src/connect/host-verifier.ts";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import { failureOf, rejectionOf } from "./failure-of.ts";
import { Scratch } from "./scratch.ts";

const target = { host: "box", port: 22, user: "ann" };

/** Asks at once; there is no deadline that could stand still. */
const ask: AskPerson = async (question) => question(new AbortController().signal);

/** The public key of a line, as a server sends it. */
function blob(publicKey: string): Buffer {
  const key = ssh2.utils.parseKey(publicKey);
  if (key instanceof Error) throw key;
  return key.getPublicSSH();
}

test("the key of a connection is looked up once; from then on it must stay the same", async () => {
  await using scratch = await Scratch.make();
  const [key, other] = [generateKey("ed25519"), generateKey("ed25519")];
  // Both are on record, so that only the change itself can be what is refused.
  const userKnownHostsFile = await scratch.put("known_hosts", `box ${key.publicKey}\nbox ${other.publicKey}\n`);
  const connecting = new AbortController();
  const verifier = new HostVerifier(target, { userKnownHostsFile, globalKnownHostsFile: [] }, ask, connecting.signal);
  expect(verifier.knows(blob(key.publicKey))).toBe(false);
  await verifier.verify(blob(key.publicKey));
  connecting.abort();
  expect(verifier.knows(blob(key.publicKey))).toBe(true);
  expect(verifier.knows(blob(other.publicKey))).toBe(false);
  await scratch.put("known_hosts", "");
  await verifier.verify(blob(key.publicKey));
  const failure = await rejectionOf(verifier.verify(blob(other.publicKey)));
  expect(failure.code).toBe("host-key-changed");
  expect(failure.message).toContain("ann@box:22 changed its host key midway");
});

test("a key that was refused is not taken for the connection's", async () => {
  await using scratch = await Scratch.make();
  const [key, other] = [generateKey("ed25519"), generateKey("ed25519")];
  const userKnownHostsFile = await scratch.put("known_hosts", `box ${key.publicKey}\n`);
  const options = { userKnownHostsFile, globalKnownHostsFile: [] };
  const verifier = new HostVerifier(target, options, ask, new AbortController().signal);
  expect(await rejectionOf(verifier.verify(blob(other.publicKey)))).toMatchObject({ code: "host-key-changed" });
  expect(await rejectionOf(verifier.verify(blob(other.publicKey)))).toMatchObject({ code: "host-key-changed" });
  await verifier.verify(blob(key.publicKey));
});

test("the algorithms of keys on record come first", async () => {
  await using scratch = await Scratch.make();
  const userKnownHostsFile = await scratch.put("known_hosts", `box ${generateKey("rsa").publicKey}\n`);
  const options = { userKnownHostsFile, globalKnownHostsFile: [] };
  const verifier = new HostVerifier(target, options, ask, new AbortController().signal);
  expect((await verifier.algorithms()).slice(0, 3)).toEqual(["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
});

test.each([
  ["a list of one's own is not reordered", "ssh-ed25519,rsa-sha2-512", ["ssh-ed25519", "rsa-sha2-512"]],
  ["nor is one that goes before the default", "^rsa-sha2-256", ["rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256"]],
  ["one that adds to the default is", "+ssh-rsa", ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"]],
  ["and one that takes from it", "-rsa-sha2-512", ["rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256"]],
  ["what is asked for alone is offered alone", "ssh-dss,ecdsa*", ["ssh-dss", "ecdsa-sha2-nistp256"]],
])("algorithms: %s", async (_what, hostKeyAlgorithms, first) => {
  await using scratch = await Scratch.make();
  const userKnownHostsFile = await scratch.put("known_hosts", `box ${generateKey("rsa").publicKey}\n`);
  const options = { userKnownHostsFile, globalKnownHostsFile: [], hostKeyAlgorithms };
  const verifier = new HostVerifier(target, options, ask, new AbortController().signal);
  expect((await verifier.algorithms()).slice(0, first.length)).toEqual(first);
});

test("algorithms: what cannot be done is said, and nothing at all is refused", () => {
  const said: string[] = [];
  const make = (hostKeyAlgorithms: string) => {
    const options = { hostKeyAlgorithms, onNotice: (text: string) => said.push(text) };
    return new HostVerifier(target, options, ask, new AbortController().signal);
  };
  make("sk-ssh-ed25519@openssh.com,ssh-ed25519");
  expect(said).toEqual(["ssh2 does not have sk-ssh-ed25519@openssh.com, which `hostKeyAlgorithms` names."]);
  expect(failureOf(() => make("sk-ssh-ed25519@openssh.com"))).toMatchObject({ code: "config-error" });
});
