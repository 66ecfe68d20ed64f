import type { Writable } from "node:stream";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import createDebug from "debug";
import { GRPCStdio, StdioData_Channel } from "./gen/plugin_pb.ts";

const debug = createDebug("go-plugin-ssh:stdio");

/** The ways in which the stream ends when the plugin does, and for plugins that do not have it. */
const USUAL = new Set<Code>([Code.Unavailable, Code.Canceled, Code.Unimplemented, Code.Aborted]);

/** Where the plugin's own `os.Stdout` and `os.Stderr` go; what has no writable is thrown away. */
export interface SyncStdio {
  stdout?: Writable | undefined;
  stderr?: Writable | undefined;
}

/**
 * Reads what the plugin's code prints after the handshake, for as long as it lives. A plugin blocks when nobody reads
 * this, so it is read in every case. The plugin gives each piece out once: there must be one reader. Never rejects.
 *
 * @param signal ends the reading
 */
export async function syncStdio(
  transport: Transport,
  { stdout, stderr }: SyncStdio,
  signal: AbortSignal,
): Promise<void> {
  const sinks = { [StdioData_Channel.STDOUT]: stdout, [StdioData_Channel.STDERR]: stderr };
  try {
    for await (const { channel, data } of createClient(GRPCStdio, transport).streamStdio({}, { signal })) {
      const sink = sinks[channel as keyof typeof sinks];
      if (sink?.writable && !sink.write(data)) await drained(sink);
    }
  } catch (failure) {
    const { code, message } = ConnectError.from(failure);
    if (code === Code.Unimplemented) debug("stdio service not available, stdout/stderr syncing unavailable");
    else if (!USUAL.has(code)) debug("stdio ended: %s", message);
  }
}

function drained(sink: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error"]) sink.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) sink.once(event, done);
  });
}
