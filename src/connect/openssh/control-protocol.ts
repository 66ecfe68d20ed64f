/**
 * The protocol of a control socket, as far as it is spoken here: OpenSSH's PROTOCOL.mux, version 4. The proxy mode has
 * been in OpenSSH since 7.4.
 */
export const MUX_VERSION = 4;

/** What is asked. */
export const ASK = {
  hello: 0x00000001,
  alive: 0x10000004,
  terminate: 0x10000005,
  openForward: 0x10000006,
  closeForward: 0x10000007,
  proxy: 0x1000000f,
} as const;

/** What is answered. */
export const ANSWER = {
  ok: 0x80000001,
  denied: 0x80000002,
  failure: 0x80000003,
  alive: 0x80000005,
  remotePort: 0x80000007,
  proxy: 0x8000000f,
} as const;

/** The box listens. */
export const FORWARD_REMOTE = 2;
/** Instead of a port: the host before it is the path of a unix socket. */
export const UNIX_PORT = 0xfffffffe;

/** The messages of SSH's connection protocol (RFC 4254 §9). */
export const MESSAGE = {
  channelOpen: 90,
  openConfirmation: 91,
  openFailure: 92,
  windowAdjust: 93,
  data: 94,
  extendedData: 95,
  eof: 96,
  close: 97,
  request: 98,
  success: 99,
  failure: 100,
} as const;
