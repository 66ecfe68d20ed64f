import { createClient, type Client as ServiceClient, type Transport } from "@connectrpc/connect";
import { KV } from "./gen/kv_pb.ts";
import { Output, type Sink } from "./gen/output_pb.ts";
import { Trouble } from "./gen/trouble_pb.ts";

/** A client for each service of `kv`. */
export interface KvServices {
  /** The key-value store, and questions about the plugin. */
  readonly kv: ServiceClient<typeof KV>;
  /** Says things on stdout and stderr, of go-plugin or of the process. */
  readonly output: ServiceClient<typeof Output>;
  /** Dies of bugs. */
  readonly trouble: ServiceClient<typeof Trouble>;
}

/** The clients of a plugin that a transport leads to. */
export function servicesOf(transport: Transport): KvServices {
  return {
    kv: createClient(KV, transport),
    output: createClient(Output, transport),
    trouble: createClient(Trouble, transport),
  };
}

/**
 * Has the plugin write a text to a stream, repeated up to `total` bytes if that is given. Resolves when the stream has
 * taken all of it, with `background` at once.
 */
export async function print(
  { output }: KvServices,
  sink: Sink,
  text: string,
  { total = 0, background = false }: { total?: number; background?: boolean } = {},
): Promise<void> {
  await output.print({ sink, data: Buffer.from(text), total: BigInt(total), background });
}

/** A record for hclog. */
export interface HclogRecord {
  level: "trace" | "debug" | "info" | "warn" | "error";
  message: string;
  /** The logger's name, `@module` in JSON. */
  name?: string;
  /** Further key/value pairs. What is no string goes into the line as it is. */
  fields?: Record<string, unknown>;
  /** hclog's text format in the place of JSON. */
  text?: boolean;
  /** Adds `@caller`. */
  caller?: boolean;
}

/** Has the plugin write one record to its stderr. Resolves when that has taken it. */
export async function hclog({ output }: KvServices, { fields, ...record }: HclogRecord): Promise<void> {
  await output.hclog({ ...record, fields: fields ? JSON.stringify(fields) : "" });
}
