import { createClient } from "@connectrpc/connect";
import { openPluginStream } from "../../src/dial/open-plugin-stream.ts";
import { PluginChannel } from "../../src/dial/plugin-channel.ts";
import { PluginError } from "../../src/index.ts";
import { KV } from "../../test/plugins/gen/kv_pb.ts";
import type { Hosted } from "../hosted.ts";
import type { Row } from "./row.ts";
import { took } from "./took.ts";

/** Fewer than the sessions that sshd allows, and enough to fill a long line. */
const AT_ONCE = 8;
const NEVER = new AbortController().signal;

/** Further connections to a plugin, each with its first call. In plaintext always, because TLS would be all there is. */
export const connections: Row = {
  name: "connections",
  what: `further connections, each with one call, ${AT_ONCE} at once, in plaintext`,
  figures: [{ name: "connections", unit: "1/s" }],
  measure: async ({ way, scale, hosted }) => {
    const plugin = await hosted({ program: "kv", autoMtls: false });
    // It starts a program for each, and would take up most of the round.
    const count = way.name === "relay" ? AT_ONCE : scale.connections;
    let left = count;
    const ms = await took(() => {
      const work = async () => {
        while (left > 0) {
          left -= 1;
          await connectOnce(plugin);
        }
      };
      return Promise.all(Array.from({ length: AT_ONCE }, work));
    });
    return [(count / ms) * 1000];
  },
};

async function connectOnce({ runner, address }: Hosted): Promise<void> {
  const channel = new PluginChannel({ open: (signal) => openPluginStream(runner, address, signal), tls: undefined });
  try {
    await channel.connect(NEVER);
    await createClient(KV, channel.transport).echo({});
  } finally {
    channel.close(new PluginError("closed", "That was all."));
  }
}
