import type { ConnectOptions } from "../connect-options.ts";

/**
 * What becomes of a keyword of ssh_config:
 *
 * - `honoured`: it is done, by the option that is named beside it if there is one
 * - `read`: it says how the configuration is read, and whoever reads it does so
 * - `openssh`: only the system's `ssh` can do it
 * - `said`: it is not done, and that is said when it is set
 * - `nothing`: it is about terminals, forwards of one's own and other things that a plugin has no use for
 */
export type Treatment = "honoured" | "read" | "openssh" | "said" | "nothing";

/** A keyword of ssh_config. */
export interface Keyword {
  readonly name: string;
  readonly treatment: Treatment;
  /** The option that stands for it. */
  readonly option?: keyof ConnectOptions;
  /** Whether the system's `ssh` does it where that connects, although we do not. */
  readonly bySsh?: true;
  /** What is to be known about it: how it is honoured, why it is not done, or what to use instead. */
  readonly note: string;
}

/** Every keyword that OpenSSH knows, up to release 10. */
export const KEYWORDS: readonly Keyword[] = [
  { name: "HostName", treatment: "honoured", note: "" },
  { name: "Port", treatment: "honoured", note: "" },
  { name: "User", treatment: "honoured", note: "" },
  { name: "HostKeyAlias", treatment: "honoured", option: "hostKeyAlias", note: "" },
  { name: "AddressFamily", treatment: "honoured", option: "addressFamily", note: "" },
  { name: "BindAddress", treatment: "honoured", option: "bindAddress", note: "" },
  { name: "ConnectTimeout", treatment: "honoured", option: "connectTimeoutMs", note: "30 s if it is not set" },
  { name: "ConnectionAttempts", treatment: "honoured", option: "connectionAttempts", note: "" },
  { name: "IdentityFile", treatment: "honoured", option: "identityFile", note: "tokens and variables too" },
  { name: "IdentitiesOnly", treatment: "honoured", option: "identitiesOnly", note: "" },
  {
    name: "IdentityAgent",
    treatment: "honoured",
    option: "identityAgent",
    note: "`none`, `SSH_AUTH_SOCK` and `$VARIABLE` too",
  },
  { name: "AddKeysToAgent", treatment: "said", note: "keys are used and not given to the agent" },
  { name: "UserKnownHostsFile", treatment: "honoured", option: "userKnownHostsFile", note: "" },
  { name: "GlobalKnownHostsFile", treatment: "honoured", option: "globalKnownHostsFile", note: "" },
  {
    name: "StrictHostKeyChecking",
    treatment: "honoured",
    option: "strictHostKeyChecking",
    note: "`no` and `off` are taken as `accept-new`, which is said: a changed key is always refused",
  },
  { name: "HashKnownHosts", treatment: "honoured", option: "hashKnownHosts", note: "" },
  { name: "ProxyJump", treatment: "honoured", option: "proxyJump", note: "each hop with its own configuration" },
  { name: "ProxyCommand", treatment: "honoured", option: "proxyCommand", note: "" },
  {
    name: "ServerAliveInterval",
    treatment: "honoured",
    option: "serverAliveIntervalMs",
    note: "15 s if it is not set, or set to 0; the option can turn it off",
  },
  { name: "ServerAliveCountMax", treatment: "honoured", option: "serverAliveCountMax", note: "" },
  { name: "TCPKeepAlive", treatment: "honoured", option: "tcpKeepAlive", note: "" },
  { name: "Compression", treatment: "honoured", option: "compression", note: "" },
  { name: "Ciphers", treatment: "honoured", option: "ciphers", note: "" },
  { name: "KexAlgorithms", treatment: "honoured", option: "kexAlgorithms", note: "" },
  { name: "MACs", treatment: "honoured", option: "macs", note: "" },
  { name: "HostKeyAlgorithms", treatment: "honoured", option: "hostKeyAlgorithms", note: "" },
  { name: "PubkeyAcceptedAlgorithms", treatment: "honoured", option: "pubkeyAcceptedAlgorithms", note: "" },
  { name: "PreferredAuthentications", treatment: "honoured", option: "preferredAuthentications", note: "" },
  {
    name: "PubkeyAuthentication",
    treatment: "honoured",
    option: "preferredAuthentications",
    note: "`no` takes the method away",
  },
  {
    name: "PasswordAuthentication",
    treatment: "honoured",
    option: "preferredAuthentications",
    note: "`no` takes the method away",
  },
  {
    name: "KbdInteractiveAuthentication",
    treatment: "honoured",
    option: "preferredAuthentications",
    note: "`no` takes the method away",
  },
  { name: "BatchMode", treatment: "honoured", option: "batchMode", note: "" },
  {
    name: "NumberOfPasswordPrompts",
    treatment: "honoured",
    option: "numberOfPasswordPrompts",
    note: "0 takes both methods that ask away",
  },

  { name: "Host", treatment: "read", note: "" },
  { name: "Match", treatment: "read", note: "by the installed `ssh`" },
  { name: "Include", treatment: "read", note: "" },
  { name: "IgnoreUnknown", treatment: "read", note: "by the installed `ssh`" },
  { name: "Tag", treatment: "read", note: "by the installed `ssh`" },
  { name: "RefuseConnection", treatment: "read", note: "ends in `config-error` with its text" },
  { name: "CanonicalDomains", treatment: "read", note: "by the installed `ssh`" },
  { name: "CanonicalizeFallbackLocal", treatment: "read", note: "by the installed `ssh`" },
  { name: "CanonicalizeHostname", treatment: "read", note: "by the installed `ssh`" },
  { name: "CanonicalizeMaxDots", treatment: "read", note: "by the installed `ssh`" },
  { name: "CanonicalizePermittedCNAMEs", treatment: "read", note: "by the installed `ssh`" },

  { name: "CertificateFile", treatment: "openssh", note: "certificates of users" },
  { name: "PKCS11Provider", treatment: "openssh", note: "keys on tokens" },
  { name: "SecurityKeyProvider", treatment: "openssh", note: "FIDO keys" },
  { name: "KnownHostsCommand", treatment: "openssh", note: "host keys from a program" },
  { name: "RevokedHostKeys", treatment: "openssh", note: "a list of revoked host keys" },
  { name: "HostbasedAuthentication", treatment: "openssh", note: "" },
  { name: "ProxyUseFdpass", treatment: "openssh", note: "" },
  {
    name: "GSSAPIAuthentication",
    treatment: "openssh",
    note: "if there are Kerberos credentials; without them it would come to nothing",
  },
  { name: "GSSAPIDelegateCredentials", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "GSSAPIClientIdentity", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "GSSAPIKeyExchange", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "GSSAPIKexAlgorithms", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "GSSAPIRenewalForcesRekey", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "GSSAPIServerIdentity", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "GSSAPITrustDns", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "HostbasedAcceptedAlgorithms", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "EnableSSHKeysign", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "CASignatureAlgorithms", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "ControlMaster", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "ControlPath", treatment: "nothing", note: "the system's `ssh` heeds it" },
  { name: "ControlPersist", treatment: "nothing", note: "an `ssh` of ours ends with us" },

  {
    name: "BindInterface",
    treatment: "said",
    bySsh: true,
    note: "connections leave by whichever interface the system takes",
  },
  { name: "ChannelTimeout", treatment: "said", bySsh: true, note: "channels stay open as long as they are used" },
  {
    name: "CheckHostIP",
    treatment: "said",
    bySsh: true,
    note: "the host key is looked up by name, not by address as well",
  },
  { name: "ForwardAgent", treatment: "said", note: "no agent is forwarded to the box" },
  { name: "IPQoS", treatment: "said", bySsh: true, note: "packets are sent without it" },
  { name: "LocalCommand", treatment: "said", note: "the command is not run" },
  { name: "NoHostAuthenticationForLocalhost", treatment: "said", note: "host keys are verified on every host" },
  { name: "RekeyLimit", treatment: "said", bySsh: true, note: "new keys are made when the server asks for them" },
  { name: "RemoteCommand", treatment: "said", note: "the plugin's own command runs instead" },
  { name: "RequiredRSASize", treatment: "said", bySsh: true, note: "short RSA keys are not refused" },
  { name: "VerifyHostKeyDNS", treatment: "said", note: "known_hosts files decide, not the DNS" },

  { name: "ClearAllForwardings", treatment: "nothing", note: "" },
  { name: "DynamicForward", treatment: "nothing", note: "a plugin's addresses are forwarded as it needs them" },
  { name: "EnableEscapeCommandline", treatment: "nothing", note: "" },
  { name: "EscapeChar", treatment: "nothing", note: "" },
  { name: "ExitOnForwardFailure", treatment: "nothing", note: "" },
  { name: "FingerprintHash", treatment: "nothing", note: "messages show SHA256" },
  { name: "ForkAfterAuthentication", treatment: "nothing", note: "" },
  { name: "ForwardX11", treatment: "nothing", note: "" },
  { name: "ForwardX11Timeout", treatment: "nothing", note: "" },
  { name: "ForwardX11Trusted", treatment: "nothing", note: "" },
  { name: "GatewayPorts", treatment: "nothing", note: "" },
  { name: "KbdInteractiveDevices", treatment: "nothing", note: "" },
  { name: "LocalForward", treatment: "nothing", note: "a plugin's addresses are forwarded as it needs them" },
  { name: "LogLevel", treatment: "nothing", note: "`DEBUG=go-plugin-ssh:*` shows what happens" },
  { name: "LogVerbose", treatment: "nothing", note: "`DEBUG=go-plugin-ssh:*` shows what happens" },
  { name: "ObscureKeystrokeTiming", treatment: "nothing", note: "" },
  { name: "PermitLocalCommand", treatment: "nothing", note: "" },
  { name: "PermitRemoteOpen", treatment: "nothing", note: "" },
  { name: "RemoteForward", treatment: "nothing", note: "a plugin's addresses are forwarded as it needs them" },
  { name: "RequestTTY", treatment: "nothing", note: "a plugin has no terminal" },
  { name: "SendEnv", treatment: "nothing", note: "`forwardEnvironment` names variables for the plugin" },
  { name: "SessionType", treatment: "nothing", note: "" },
  { name: "SetEnv", treatment: "nothing", note: "`environment` sets variables for the plugin" },
  { name: "StdinNull", treatment: "nothing", note: "" },
  { name: "StreamLocalBindMask", treatment: "nothing", note: "" },
  { name: "StreamLocalBindUnlink", treatment: "nothing", note: "" },
  { name: "SyslogFacility", treatment: "nothing", note: "" },
  { name: "Tunnel", treatment: "nothing", note: "" },
  { name: "TunnelDevice", treatment: "nothing", note: "" },
  { name: "UpdateHostKeys", treatment: "nothing", note: "known_hosts learns no further keys" },
  { name: "UseKeychain", treatment: "nothing", note: "the `passphrase` callback may ask it" },
  { name: "VersionAddendum", treatment: "nothing", note: "" },
  { name: "VisualHostKey", treatment: "nothing", note: "" },
  { name: "WarnWeakCrypto", treatment: "nothing", note: "" },
  { name: "XAuthLocation", treatment: "nothing", note: "" },
];

const BY_NAME = new Map(KEYWORDS.map((keyword) => [keyword.name.toLowerCase(), keyword]));

/** What becomes of a keyword, which may be in any case. One that nobody knows yet is said. */
export function keywordNamed(name: string): Keyword {
  const known = BY_NAME.get(name.toLowerCase());
  return known ?? { name, treatment: "said", note: "it is not known here" };
}
