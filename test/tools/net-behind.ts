import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A network namespace that only the one before it reaches. Disposing it removes it; who runs in it must be gone. */
export interface NetBehind extends AsyncDisposable {
  readonly name: string;
  /** Its address, as seen from the one before it. */
  readonly address: string;
  /** What starts a command there. */
  readonly inside: readonly string[];
}

/**
 * Makes a namespace behind another one. Needs root and iproute2: the tier `netns`.
 *
 * @param before the name of the other one
 * @param net which of the small networks for examples (RFC 5737) they share, from 0 to 62
 */
export async function startNetBehind(before: string, net: number): Promise<NetBehind> {
  const name = `${before}b`;
  const at = (host: number) => `192.0.2.${net * 4 + host}`;
  await run("ip", ["netns", "add", name]);
  try {
    const [near, far] = ["to-next", "to-last"];
    const peer = ["type", "veth", "peer", "name", far, "netns", name];
    await run("ip", ["-n", before, "link", "add", "name", near, ...peer]);
    for (const [namespace, device, host] of [
      [before, near, 1],
      [name, far, 2],
    ] as const) {
      await run("ip", ["-n", namespace, "addr", "add", `${at(host)}/30`, "dev", device]);
      await run("ip", ["-n", namespace, "link", "set", device, "up"]);
    }
    await run("ip", ["-n", name, "link", "set", "lo", "up"]);
  } catch (failure) {
    await run("ip", ["netns", "del", name]);
    throw failure;
  }
  return {
    name,
    address: at(2),
    inside: ["ip", "netns", "exec", name],
    [Symbol.asyncDispose]: async () => void (await run("ip", ["netns", "del", name])),
  };
}
