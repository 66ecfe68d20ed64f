import { userInfo } from "node:os";
import type { Settings } from "../../../src/connect/settings.ts";
import { sshSays } from "./ssh-says.ts";

/** The keywords that a connection is compared by. */
export const COMPARED = [
  "hostname",
  "port",
  "user",
  "hostkeyalias",
  "addressfamily",
  "bindaddress",
  "connecttimeout",
  "connectionattempts",
  "identityfile",
  "identitiesonly",
  "identityagent",
  "userknownhostsfile",
  "globalknownhostsfile",
  "stricthostkeychecking",
  "hashknownhosts",
  "proxyjump",
  "proxycommand",
  "serveraliveinterval",
  "serveralivecountmax",
  "tcpkeepalive",
  "compression",
  "ciphers",
  "kexalgorithms",
  "macs",
  "hostkeyalgorithms",
  "pubkeyacceptedalgorithms",
  "preferredauthentications",
  "batchmode",
  "numberofpasswordprompts",
] as const;

export type Words = Partial<Record<(typeof COMPARED)[number], string>>;

/**
 * What a connection is made with, in the words of `ssh -G`: what the options leave open is not there, so that it is
 * OpenSSH's default.
 */
export function inOpenSshWords({ target, options }: Settings): Words {
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : value ? "yes" : "no");
  const seconds = (value: number | undefined) => (value === undefined ? undefined : String(value / 1000));
  const list = (value: string | readonly string[] | undefined) =>
    value === undefined ? undefined : [value].flat().join(" ") || "none";
  const words: Record<(typeof COMPARED)[number], string | undefined> = {
    hostname: target.host,
    port: String(target.port),
    user: target.user,
    hostkeyalias: options.hostKeyAlias,
    addressfamily: options.addressFamily,
    bindaddress: options.bindAddress,
    connecttimeout: seconds(options.connectTimeoutMs),
    connectionattempts: options.connectionAttempts?.toString(),
    identityfile: list(options.identityFile),
    identitiesonly: flag(options.identitiesOnly),
    identityagent: options.identityAgent,
    userknownhostsfile: list(options.userKnownHostsFile),
    globalknownhostsfile: list(options.globalKnownHostsFile),
    stricthostkeychecking: options.strictHostKeyChecking?.replace("yes", "true"),
    hashknownhosts: flag(options.hashKnownHosts),
    proxyjump: options.proxyJump,
    proxycommand: options.proxyCommand,
    serveraliveinterval: seconds(options.serverAliveIntervalMs),
    serveralivecountmax: options.serverAliveCountMax?.toString(),
    tcpkeepalive: flag(options.tcpKeepAlive),
    compression: flag(options.compression),
    ciphers: options.ciphers && whole("Ciphers", options.ciphers),
    kexalgorithms: options.kexAlgorithms && whole("KexAlgorithms", options.kexAlgorithms),
    macs: options.macs && whole("MACs", options.macs),
    hostkeyalgorithms: options.hostKeyAlgorithms && whole("HostKeyAlgorithms", options.hostKeyAlgorithms),
    pubkeyacceptedalgorithms:
      options.pubkeyAcceptedAlgorithms && whole("PubkeyAcceptedAlgorithms", options.pubkeyAcceptedAlgorithms),
    preferredauthentications: options.preferredAuthentications,
    batchmode: flag(options.batchMode),
    numberofpasswordprompts: options.numberOfPasswordPrompts?.toString(),
  };
  return Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined));
}

/** A list of algorithms that changes the default, as a whole one. */
function whole(keyword: string, list: string): string {
  const said = sshSays(["-F", "none", "-o", `${keyword}=${list}`, "--", "x"]);
  return said?.get(keyword.toLowerCase())?.[0] ?? "";
}

/**
 * The same of what `ssh -G` prints, without what it prints for a host of which nothing is configured. Tokens of key
 * files are filled in here, because `ssh` does that only when it connects.
 */
export function fromSsh(said: Map<string, string[]>, standard: Map<string, string[]>, alias: string): Words {
  const words: Words = {};
  for (const keyword of COMPARED) {
    const values = said.get(keyword);
    if (values === undefined) continue;
    const always = ["hostname", "port", "user"].includes(keyword);
    if (!always && values.join("\n") === standard.get(keyword)?.join("\n")) continue;
    words[keyword] = values.join(" ");
  }
  const { homedir, username } = userInfo();
  const fill = (file: string) =>
    file
      .replace(/^~(?=\/)/, homedir)
      .replace(/%%|%[a-zA-Z]/g, (token) => {
        const meaning: Record<string, string | undefined> = {
          "%%": "%",
          "%d": homedir,
          "%h": words.hostname,
          "%k": words.hostkeyalias ?? alias,
          "%n": alias,
          "%p": words.port,
          "%r": words.user,
          "%u": username,
        };
        return meaning[token] ?? token;
      })
      .replace("$" + "{GPS_TEST_KEYS}", process.env.GPS_TEST_KEYS ?? "");
  const files = said.get("identityfile")?.filter((file) => file !== "none");
  if (words.identityfile !== undefined && files) words.identityfile = files.map(fill).join(" ") || "none";
  if (words.stricthostkeychecking === "false") words.stricthostkeychecking = "accept-new";
  const [, variable] = /^\$(\w+)$/.exec(words.identityagent ?? "") ?? [];
  if (variable !== undefined) words.identityagent = process.env[variable] ?? "none";
  if (words.identityagent === "SSH_AUTH_SOCK") delete words.identityagent;
  if (words.proxycommand === "none") delete words.proxycommand;
  // Addresses are in brackets there, IPv4 ones too.
  if (words.proxyjump !== undefined) words.proxyjump = words.proxyjump.replace(/\[([\d.]+)\]/g, "$1");
  return words;
}
