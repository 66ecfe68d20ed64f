import { type Address, parseAddress } from "./address.ts";
import { PluginError } from "./errors.ts";

/**
 * All that is needed to find a running plugin again, from another process or later: what go-plugin's `ReattachConfig`
 * holds, and what it leaves to a `ReattachFunc`. It is plain data, so it survives `JSON.stringify`; it holds no secret.
 */
export interface ReattachConfig {
  /** What the plugin speaks. */
  protocol: "grpc";
  /** The version of the application's protocol that was agreed on; 0 where nobody has said. */
  protocolVersion: number;
  /** Where the plugin is reached, as seen from the host. */
  addr: Address;
  /** The plugin's process id, on the machine that it runs on; 0 where only a `ReattachFunc` knows how to find it. */
  pid: number;
  /** When that process started, in the words of the kernel there: a pid alone may be somebody else's by now. */
  processStartTime?: string;
  /** The plugin belongs to a test or a debugger: hosts must not end it, nor watch its process. */
  test?: boolean;
  /** The box that it runs on, as `ssh://user@host:port`. @default this machine */
  destination?: string;
  /** Where it listens, as seen from that box. Goes with `destination`. */
  pluginAddr?: Address;
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * Checks what was saved, or was given by somebody else. The form of go-plugin's own hosts is understood too, in which a
 * value of Terraform's `TF_REATTACH_PROVIDERS` is written: `{Protocol, ProtocolVersion, Pid, Test, Addr: {Network,
 * String}}`.
 *
 * @param value an object, not its JSON
 * @throws {PluginError} `bad-options` with the name of the field; `unsupported` for a plugin that speaks net/rpc
 */
export function parseReattachConfig(value: unknown): ReattachConfig {
  const fields = fieldsOf(value, "A reattach config");
  const isGo = Object.keys(fields).some((name) => /^[A-Z]/.test(name));
  return isGo ? fromGo(fields) : fromOurs(fields);
}

function fromOurs(fields: Fields): ReattachConfig {
  const { protocol, protocolVersion, addr, pid, processStartTime, test, destination, pluginAddr, ...others } = fields;
  refuseOthers(others);
  if ((destination === undefined) !== (pluginAddr === undefined)) {
    throw new PluginError("bad-options", "A reattach config has both `destination` and `pluginAddr`, or neither.");
  }
  return {
    protocol: checkProtocol("protocol", protocol),
    protocolVersion: checkInteger("protocolVersion", protocolVersion, 0),
    addr: checkAddress("addr", addr),
    pid: checkInteger("pid", pid, 0),
    ...(processStartTime !== undefined && { processStartTime: checkLine("processStartTime", processStartTime) }),
    ...(test !== undefined && { test: checkBoolean("test", test) }),
    ...(destination !== undefined && {
      destination: checkLine("destination", destination),
      pluginAddr: checkAddress("pluginAddr", pluginAddr),
    }),
  };
}

/** Go leaves out nothing, but whoever writes it by hand may: then the value is Go's zero. */
function fromGo(fields: Fields): ReattachConfig {
  const { Protocol = "", ProtocolVersion = 0, Pid = 0, Test, Addr, ...others } = fields;
  refuseOthers(others);
  const { Network, String: text, ...rest } = fieldsOf(Addr, "`Addr`");
  refuseOthers(rest);
  return {
    protocol: checkProtocol("Protocol", Protocol),
    protocolVersion: checkInteger("ProtocolVersion", ProtocolVersion, 0),
    addr: goAddress(checkLine("Addr.Network", Network), checkLine("Addr.String", text)),
    pid: checkInteger("Pid", Pid, 0),
    ...(Test !== undefined && { test: checkBoolean("Test", Test) }),
  };
}

function goAddress(network: string, text: string): Address {
  try {
    return checkAddress("Addr", parseAddress(network, text));
  } catch (cause) {
    throw refused("Addr", "a unix path or a TCP address with a port", { Network: network, String: text }, cause);
  }
}

function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new PluginError("bad-options", `${what} must be an object, not ${shown(value)}.`, {
    hint: "Text of JSON has to be parsed first.",
  });
}

function refuseOthers(others: Fields): void {
  const [name] = Object.keys(others);
  if (name === undefined) return;
  throw new PluginError("bad-options", `A reattach config has no ${JSON.stringify(name)}.`, {
    hint: "Of TF_REATTACH_PROVIDERS, give the value of one provider.",
  });
}

function checkProtocol(name: string, protocol: unknown): "grpc" {
  if (protocol === "grpc") return protocol;
  // go-plugin takes an empty one for net/rpc.
  if (protocol === "netrpc" || protocol === "") {
    throw new PluginError("unsupported", "The plugin speaks net/rpc, which cannot be reattached to.");
  }
  throw refused(name, '"grpc"', protocol);
}

function checkInteger(name: string, value: unknown, least: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw refused(name, `an integer, ${least} or more`, value);
}

function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw refused(name, "true or false", value);
}

function checkLine(name: string, value: unknown): string {
  if (typeof value === "string" && /^[^\p{Cc}]+$/u.test(value)) return value;
  throw refused(name, "a text in one line, not an empty one", value);
}

function checkAddress(name: string, value: unknown): Address {
  const { network, path, host, port, ...others } = fieldsOf(value, `\`${name}\``);
  const isAlone = Object.keys(others).length === 0;
  if (network === "unix" && isAlone && host === undefined && port === undefined) {
    if (typeof path === "string" && /^\/[^\0]*$/.test(path)) return { network, path };
  }
  if (network === "tcp" && isAlone && path === undefined && typeof host === "string") {
    const number = checkInteger(`${name}.port`, port, 1);
    if (number <= 65_535) return { network, host, port: number };
  }
  const wanted = '{ network: "unix", path } with an absolute path, or { network: "tcp", host, port }';
  throw refused(name, wanted, value);
}

function refused(name: string, wanted: string, value: unknown, cause?: unknown): PluginError {
  return new PluginError("bad-options", `\`${name}\` of a reattach config must be ${wanted}, not ${shown(value)}.`, {
    cause,
  });
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
