import { type Address, formatAddress, parseAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { harmless } from "../lifetime/tail.ts";
import { decodeCertificateField, encodeCertificateField } from "./certificates.ts";
import { foreign, quoted } from "./foreign-text.ts";
import { atoi, parseBool } from "./go-syntax.ts";
import { unrecognizedMessage } from "./unrecognized-message.ts";

/** What a plugin serves at its address. */
export type PluginProtocol = "grpc" | "netrpc";

/** What a plugin says about itself on the first line of its stdout: `CORE|APP|NETWORK|ADDRESS|PROTOCOL|CERT[|MUX]`. */
export interface HandshakeLine {
  coreProtocolVersion: 1;
  /** The version of the application's own protocol that the plugin chose. */
  appProtocolVersion: number;
  /** Where the plugin listens, as seen from the plugin's side. */
  address: Address;
  protocol: PluginProtocol;
  /** The plugin's certificate as DER. `undefined`: it serves without TLS. */
  certificate: Buffer | undefined;
  /** Whether the plugin multiplexes its broker. `undefined`: the line does not say, as from plugins before v1.6. */
  multiplexed: boolean | undefined;
}

/** What the host can work with. What is absent is not checked. */
export interface HandshakeExpectations {
  /** The versions that were offered in `PLUGIN_PROTOCOL_VERSIONS`. */
  versions?: readonly number[] | undefined;
  /** The protocols that the host speaks. @default ["netrpc", "grpc"] */
  protocols?: readonly PluginProtocol[] | undefined;
  /** True if the host asked for a multiplexed broker, so that a gRPC plugin without one is refused. */
  multiplexed?: boolean | undefined;
}

const CORE_PROTOCOL_VERSION = 1;

/** Older plugins put other, short data where the certificate is; go-plugin tells them apart by this many bytes. */
const LONGEST_NON_CERTIFICATE = 50;

const NOT_MULTIPLEXED = "client requested gRPC broker multiplexing but plugin does not support the feature";

/**
 * Reads a handshake line: tolerant where go-plugin is, and refusing what it refuses, in its order and with its texts.
 *
 * @param expected checked along the way, so that of several things that are wrong the same one is reported as by
 *   go-plugin
 * @throws {PluginError} `handshake-failed`
 */
export function parseHandshakeLine(line: string, expected: HandshakeExpectations = {}): HandshakeLine {
  if (!hasHandshakeFields(line)) throw unrecognizedMessage(line.trim());
  const [core = "", app = "", network = "", address = "", protocol = "netrpc", field = "", mux] = line
    .trim()
    .split("|");
  checkCoreVersion(core);
  const appProtocolVersion = readVersion(app);
  if (expected.versions) checkVersion(appProtocolVersion, expected.versions);
  const pluginAddress = readAddress(network, address);
  const spoken = checkProtocol(protocol, expected.protocols ?? ["netrpc", "grpc"]);
  const certificate = isCertificateField(field) ? decodeCertificateField(field) : undefined;
  if (expected.multiplexed && spoken === "grpc") checkMultiplexed(mux);
  return {
    coreProtocolVersion: CORE_PROTOCOL_VERSION,
    appProtocolVersion,
    address: pluginAddress,
    protocol: spoken,
    certificate,
    multiplexed: mux === undefined ? undefined : parseBool(mux),
  };
}

/**
 * The line that a plugin would print, without the line end: six fields, and the seventh if `multiplexed` is known.
 *
 * @throws {PluginError} `bad-options` if the address cannot stand in such a line
 */
export function formatHandshakeLine(handshake: HandshakeLine): string {
  const address = formatAddress(handshake.address);
  if (address.includes("|") || !isFitToPrint(address)) {
    throw new PluginError("bad-options", `${quoted(address)} cannot stand in a handshake line.`, {
      hint: "Listen at a path without `|`, line ends and other control characters.",
    });
  }
  const { coreProtocolVersion, appProtocolVersion, protocol, certificate, multiplexed } = handshake;
  const field = certificate ? encodeCertificateField(certificate) : "";
  const fields = [coreProtocolVersion, appProtocolVersion, handshake.address.network, address, protocol, field];
  return [...fields, ...(multiplexed === undefined ? [] : [multiplexed])].join("|");
}

/** Whether `line` has enough fields to be a handshake line at all; if not, go-plugin asks the runner to diagnose. */
export function hasHandshakeFields(line: string): boolean {
  return line.split("|", 4).length === 4;
}

/** Whether the field of the certificate holds one, by go-plugin's measure. */
export function isCertificateField(field: string): boolean {
  return Buffer.byteLength(field) > LONGEST_NON_CERTIFICATE;
}

/**
 * Refuses a version that the host did not offer. A plugin that knows none of the offered ones serves its lowest.
 *
 * @throws {PluginError} `handshake-failed`
 */
export function checkVersion(appVersion: number, offered: readonly number[]): void {
  if (offered.includes(appVersion)) return;
  const versions = `Plugin version: ${appVersion}, Client versions: [${offered.join(" ")}]`;
  throw failed(`incompatible API version with plugin. ${versions}`, "Use a plugin and a host of matching releases.");
}

/**
 * Refuses a protocol that the host does not allow, and returns one that it does.
 *
 * @throws {PluginError} `handshake-failed`
 */
export function checkProtocol(protocol: string, allowed: readonly PluginProtocol[]): PluginProtocol {
  const known = allowed.find((one) => one === protocol);
  if (known) return known;
  throw failed(`unsupported plugin protocol ${quoted(protocol)}. Supported: [${allowed.join(" ")}]`);
}

/** Refuses a core protocol that is not ours; there has never been another. */
function checkCoreVersion(core: string): void {
  const version = atoi(core);
  if (typeof version === "string") throw failed(`error parsing core protocol version: ${version}`);
  if (version === CORE_PROTOCOL_VERSION) return;
  const versions = `Plugin version: ${foreign(core)}, Core version: ${CORE_PROTOCOL_VERSION}`;
  throw failed(
    `incompatible core API version with plugin. ${versions}\n\n` +
      "To fix this, the plugin usually only needs to be recompiled.\nPlease report this to the plugin author",
  );
}

/**
 * The application's version, which may be any integer that a number can hold. Go's can be larger; to round one would be
 * to take two versions for the same.
 */
function readVersion(app: string): number {
  const version = atoi(app);
  if (Number.isSafeInteger(version)) return Number(version);
  const reason = typeof version === "string" ? version : "value out of range";
  throw failed(`Error parsing protocol version ${quoted(app)}: ${reason}`);
}

/** Whether an address can be written and read: from the line on it stands in messages as it is. */
function isFitToPrint(address: string): boolean {
  return !/\p{Cc}/u.test(address) && harmless(address) === address;
}

/** The plugin's address, or go-plugin's error for one that nobody can connect to, or that is not fit to be printed. */
function readAddress(network: string, address: string): Address {
  try {
    const read = parseAddress(network, address);
    if (isFitToPrint(address)) return read;
  } catch {
    // Refused below, with the words of go-plugin.
  }
  throw failed(
    `unknown address type: ${foreign(address)}`,
    `Only \`tcp\` with host:port and \`unix\` with a path can be reached; the plugin's network is ${quoted(network)}.`,
  );
}

/** Refuses a seventh field that does not say yes. */
function checkMultiplexed(mux: string | undefined): void {
  if (mux === undefined) {
    throw failed(
      `${NOT_MULTIPLEXED}; for Go plugins, you will need to update the github.com/hashicorp/go-plugin dependency ` +
        "and recompile",
    );
  }
  const multiplexed = parseBool(mux);
  if (multiplexed === undefined) {
    throw failed(`error parsing ${quoted(mux)} as a boolean for gRPC broker multiplexing support`);
  }
  if (!multiplexed) throw failed(NOT_MULTIPLEXED);
}

/** An error of the handshake. */
function failed(what: string, hint?: string): PluginError {
  return new PluginError("handshake-failed", what, { hint });
}
