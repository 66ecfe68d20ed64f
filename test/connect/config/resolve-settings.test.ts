import { afterEach, describe, expect, test, vi } from "vitest";
import { resolveSettings } from "../../../src/connect/config/resolve-settings.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import type { Destination } from "../../../src/connect/destination.ts";
import type { Settings } from "../../../src/connect/settings.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { Scratch } from "../scratch.ts";

afterEach(() => vi.unstubAllEnvs());

/** What a configuration makes of a destination and options, and what is said about it. */
async function resolved(
  config: string,
  destination: Destination,
  options: ConnectOptions = {},
): Promise<Settings & { notices: string[] }> {
  await using scratch = await Scratch.make();
  const configFile = await scratch.put("config", config);
  const notices: string[] = [];
  const onNotice = (text: string) => notices.push(text);
  const settings = await resolveSettings(destination, { configFile, onNotice, ...options });
  return { ...settings, notices };
}

const CONFIG = `
Host web
  HostName web.example.com
  User deploy
  Port 2200
  IdentityFile /keys/deploy
  HostKeyAlias vault
  ServerAliveInterval 20
  ProxyJump bastion
`;

describe.skipIf(!hasTier("openssh"))("settings", () => {
  test("come from the configuration where nothing else says so", async () => {
    expect(await resolved(CONFIG, "web")).toMatchObject({
      alias: "web",
      target: { host: "web.example.com", port: 2200, user: "deploy" },
      options: {
        identityFile: ["/keys/deploy"],
        hostKeyAlias: "vault",
        serverAliveIntervalMs: 20_000,
        proxyJump: "bastion",
      },
      needsOpenSsh: [],
      notices: [],
    });
  });

  test("of a URL go before the configuration, in whichever form it is given", async () => {
    const target = { host: "web.example.com", port: 22, user: "ann" };
    const forms: Destination[] = ["ssh://ann@web:22", { host: "web", port: 22, user: "ann" }];
    for (const form of forms) expect(await resolved(CONFIG, form)).toMatchObject({ alias: "web", target });
    expect(await resolved(CONFIG, "ann@web")).toMatchObject({ target: { port: 2200, user: "ann" } });
    expect(await resolved(CONFIG, { host: "web", port: 22 })).toMatchObject({ target: { port: 22, user: "deploy" } });
  });

  test("of options go before both, and `sshOptions` before URL and files", async () => {
    const given: ConnectOptions = { identityFile: "/keys/mine", hostKeyAlias: "other", serverAliveIntervalMs: 0 };
    expect(await resolved(CONFIG, "web", given)).toMatchObject({ options: given });
    const settings = await resolved(CONFIG, "ssh://web:22", { sshOptions: ["Port=2222", "HostKeyAlias=third"] });
    expect(settings).toMatchObject({ target: { port: 2222 }, options: { hostKeyAlias: "third" } });
    const both = { hostKeyAlias: "other", sshOptions: ["HostKeyAlias=third"] };
    expect(await resolved(CONFIG, "web", both)).toMatchObject({ options: { hostKeyAlias: "other" } });
  });

  test("that say how to get there exclude each other: what the caller says is all", async () => {
    const command = await resolved(CONFIG, "web", { proxyCommand: "nc %h %p" });
    expect(command.options).toMatchObject({ proxyCommand: "nc %h %p" });
    expect(command.options.proxyJump).toBeUndefined();
    const none = await resolved("ProxyCommand nc %h %p\n", "web", { proxyJump: "none" });
    expect(none.options.proxyCommand).toBeUndefined();
  });

  test("that are defaults stay open, so that default keys need not be there", async () => {
    const { options, target } = await resolved("", "Box");
    expect(Object.keys(options).sort()).toEqual(["configFile", "onNotice"]);
    expect(target).toMatchObject({ host: "box", port: 22 });
  });

  test("of nobody's configuration are the defaults, and no `ssh` is asked", async () => {
    vi.stubEnv("PATH", "/nonexistent");
    const settings = await resolveSettings("web", { configFile: "none" });
    expect(settings).toMatchObject({ target: { host: "web", port: 22 }, options: { configFile: "none" } });
  });

  test("change with the configuration: one name, two boxes", async () => {
    await using scratch = await Scratch.make();
    const configFile = await scratch.put("config", 'Match exec "test -e %d/../nonexistent"\n  HostName b\n');
    const flag = scratch.path("flag");
    await scratch.put("config", `Match exec "test -e ${flag}"\n  HostName two\nHost box\n  HostName one\n`);
    expect(await resolveSettings("box", { configFile })).toMatchObject({ target: { host: "one" } });
    await scratch.put("flag", "");
    expect(await resolveSettings("box", { configFile })).toMatchObject({ target: { host: "two" } });
    await scratch.put("config", "Host box\n  HostName three\n");
    expect(await resolveSettings("box", { configFile })).toMatchObject({ target: { host: "three" } });
  });

  test.each<[line: string, signed: Partial<ConnectOptions>]>([
    ["Ciphers +aes128-cbc", { ciphers: "+aes128-cbc" }],
    ["Ciphers ^aes256-ctr,aes128-ctr", { ciphers: "^aes256-ctr,aes128-ctr" }],
    ["MACs -umac-64@openssh.com", { macs: "-umac-64@openssh.com" }],
    ["HostKeyAlgorithms +ssh-rsa", { hostKeyAlgorithms: "+ssh-rsa" }],
    ["HostKeyAlgorithms rsa-sha2-512,ssh-ed25519", { hostKeyAlgorithms: "rsa-sha2-512,ssh-ed25519" }],
    ["KexAlgorithms ecdh-sha2-nistp256", { kexAlgorithms: "ecdh-sha2-nistp256" }],
  ])("with a list keep its sign: %s", async (line, signed) => {
    expect(await resolved(`${line}\n`, "box")).toMatchObject({ options: signed });
  });

  test.each<[lines: string, methods: string]>([
    ["PasswordAuthentication no", "gssapi-with-mic,hostbased,publickey,keyboard-interactive"],
    ["PubkeyAuthentication no\nPreferredAuthentications publickey,password", "password"],
    [
      "KbdInteractiveAuthentication no\nPasswordAuthentication no\nPubkeyAuthentication no",
      "gssapi-with-mic,hostbased",
    ],
    ["NumberOfPasswordPrompts 0\nPreferredAuthentications password", "none"],
  ])("leave out methods that are switched off: %j", async (lines, preferredAuthentications) => {
    expect((await resolved(`${lines}\n`, "box")).options).toMatchObject({ preferredAuthentications });
  });
});

describe.skipIf(!hasTier("openssh"))("what cannot be done as it says is said", () => {
  test.each<[line: string, says: RegExp]>([
    ["StrictHostKeyChecking no", /^StrictHostKeyChecking no in .* of box is taken as accept-new/],
    ["StrictHostKeyChecking off", /taken as accept-new: a changed host key is always refused/],
    ["AddKeysToAgent yes", /^AddKeysToAgent .* keys are used and not given to the agent/],
    ["ForwardAgent yes", /^ForwardAgent in the OpenSSH configuration of box is not done: no agent is forwarded/],
    ["BindInterface lo", /^BindInterface /],
    ["CheckHostIP yes", /^CheckHostIP /],
    ["IPQoS ef", /^IPQoS /],
    ["RekeyLimit 1G", /^RekeyLimit /],
    ["RemoteCommand ls", /^RemoteCommand .* the plugin's own command runs instead/],
    ["RequiredRSASize 4096", /^RequiredRSASize /],
    ["VerifyHostKeyDNS yes", /^VerifyHostKeyDNS /],
    ["NoHostAuthenticationForLocalhost yes", /^NoHostAuthenticationForLocalhost /],
    ["LocalCommand ls\nPermitLocalCommand yes", /^LocalCommand /],
  ])("%s", async (line, says) => {
    expect((await resolved(`${line}\n`, "box")).notices).toEqual([expect.stringMatching(says)]);
  });

  test("once to each callback, and not at all for what a plugin has no use for", async () => {
    const quiet =
      "SendEnv LANG\nRequestTTY yes\nLocalForward 8080 localhost:80\nLogLevel DEBUG\nSetEnv A=b\nLocalCommand x\n";
    expect((await resolved(quiet, "box")).notices).toEqual([]);
    const onNotice = vi.fn();
    for (let times = 0; times < 3; times += 1) await resolved("ForwardAgent yes\n", "box", { onNotice });
    await resolved("ForwardAgent yes\n", "other", { onNotice });
    expect(onNotice).toHaveBeenCalledTimes(2);
  });

  test("but not what an option has overruled", async () => {
    const { notices } = await resolved("StrictHostKeyChecking no\n", "box", { strictHostKeyChecking: "yes" });
    expect(notices).toEqual([]);
  });
});

describe.skipIf(!hasTier("openssh"))("the system's ssh is needed for", () => {
  test.each([
    ["CertificateFile /keys/a-cert.pub", ["CertificateFile"]],
    ["PKCS11Provider /lib/token.so", ["PKCS11Provider"]],
    ["PKCS11Provider none", []],
    ["SecurityKeyProvider /lib/sk.so", ["SecurityKeyProvider"]],
    ["SecurityKeyProvider internal", []],
    ["KnownHostsCommand /bin/hosts %H", ["KnownHostsCommand"]],
    ["RevokedHostKeys /etc/revoked", ["RevokedHostKeys"]],
    ["HostbasedAuthentication yes", ["HostbasedAuthentication"]],
  ])("%s: %j", async (line, needs) => {
    expect((await resolved(`${line}\n`, "box")).needsOpenSsh).toEqual(needs);
  });

  test("GSSAPI, if there are Kerberos credentials", async () => {
    await using scratch = await Scratch.make();
    vi.stubEnv("KRB5CCNAME", `FILE:${scratch.path("krb5cc")}`);
    expect((await resolved("GSSAPIAuthentication yes\n", "box")).needsOpenSsh).toEqual([]);
    await scratch.put("krb5cc", "credentials");
    expect((await resolved("GSSAPIAuthentication yes\n", "box")).needsOpenSsh).toEqual(["GSSAPIAuthentication"]);
    expect((await resolved("", "box")).needsOpenSsh).toEqual([]);
    vi.stubEnv("KRB5CCNAME", "KCM:");
    expect((await resolved("GSSAPIAuthentication yes\n", "box")).needsOpenSsh).toEqual(["GSSAPIAuthentication"]);
  });

  test("an authority that alone vouches for the host's keys", async () => {
    await using scratch = await Scratch.make();
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const userKnownHostsFile = await scratch.put(
      "known_hosts",
      `@cert-authority *.example ${key}\nplain.example ${key}\n`,
    );
    const needs = async (host: string, more: ConnectOptions = {}) =>
      (await resolved("", host, { userKnownHostsFile, globalKnownHostsFile: [], ...more })).needsOpenSsh;
    expect(await needs("box.example")).toEqual([`the certificate authority in ${userKnownHostsFile} line 1`]);
    expect(await needs("plain.example")).toEqual([]);
    expect(await needs("elsewhere")).toEqual([]);
    expect(await needs("box.example", { hostKeyFingerprints: [`SHA256:${"A".repeat(43)}`] })).toEqual([]);
  });

  test("keys with a certificate beside them, and FIDO keys, however they are named", async () => {
    await using scratch = await Scratch.make();
    await scratch.put("signed-cert.pub", "ssh-ed25519-cert-v01@openssh.com AAAA");
    await scratch.put("token.pub", "sk-ssh-ed25519@openssh.com AAAA token");
    const [signed, token, plain] = ["signed", "token", "plain"].map((name) => scratch.path(name)) as [
      string,
      string,
      string,
    ];
    await scratch.put("plain.pub", "ssh-ed25519 AAAA");
    const needs = [`the certificate ${signed}-cert.pub`, `the FIDO key ${token}`];
    const config = [signed, token, plain].map((file) => `IdentityFile ${file}\n`).join("");
    expect((await resolved(config, "box")).needsOpenSsh).toEqual(needs);
    expect((await resolved("", "box", { identityFile: [signed, token, plain] })).needsOpenSsh).toEqual(needs);
    vi.stubEnv("PATH", "/nonexistent");
    const without = await resolved("", "box", { configFile: "none", identityFile: [signed, plain] });
    expect(without.needsOpenSsh).toEqual([]);
    expect(without.notices).toEqual([`No OpenSSH is on the PATH, so box is connected to without ${needs[0]}.`]);
    vi.unstubAllEnvs();
    // What the caller names is all that is offered.
    expect((await resolved(config, "box", { identityFile: plain })).needsOpenSsh).toEqual([]);
  });

  test("a FIDO key of which nobody says anything, where it is the only key", async () => {
    await using scratch = await Scratch.make();
    await scratch.mkdir(".ssh");
    vi.stubEnv("HOME", scratch.directory);
    const needs = async (options: ConnectOptions = {}) => (await resolved("", "box", options)).needsOpenSsh;
    expect(await needs()).toEqual([]);
    const key = await scratch.put(".ssh/id_ed25519_sk", "a key");
    expect(await needs()).toEqual([`the FIDO key ${key}`]);
    expect(await needs({ identityFile: [] })).toEqual([]);
    await scratch.put(".ssh/id_rsa", "another key");
    expect(await needs()).toEqual([]);
  });
});
