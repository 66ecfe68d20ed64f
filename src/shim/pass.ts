import { join } from "node:path";
import type { Address } from "../contract/address.ts";
import { makePrivateDirectory } from "../lifetime/private-directory.ts";
import { forwardToPlugin } from "../translate/forward-to-plugin.ts";
import type { Carry } from "./carry.ts";
import type { HostContract } from "./forwarded-environment.ts";
import { told } from "./log-words.ts";

/** Bytes as they are: nothing is connected to before the host connects, and then once for each of its connections. */
export function passing({ variables }: HostContract, network: "unix" | "tcp"): Carry {
  return {
    name: "pass",
    variables,
    open: async ({ handshake, runner, log }) => {
      const at: Address =
        network === "tcp"
          ? { network, host: "127.0.0.1", port: 0 }
          : { network, path: join(await makePrivateDirectory(), "plugin") };
      const connect = async (over: AbortSignal) => {
        try {
          return await runner.openStream(handshake.address, over);
        } catch (failure) {
          // A host that has gone in the meantime is no failure.
          if (!over.aborted) log("error", ...told(failure));
          throw failure;
        }
      };
      return forwardToPlugin(at, handshake.address, connect);
    },
  };
}
