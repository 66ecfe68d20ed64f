import type { DescService } from "@bufbuild/protobuf";
import type { Client as ServiceClient, Transport } from "@connectrpc/connect";
import { PluginError } from "../contract/errors.ts";
import type { GrpcBroker } from "../dial/broker/grpc-broker.ts";
import { serviceClient } from "../dial/service-client.ts";

/** What a plugin's client is made from. */
export interface GrpcPluginContext {
  /** The connection to the plugin: for `createClient` of Connect. */
  readonly transport: Transport;
  /** For further connections between host and plugin, in either direction. */
  readonly broker: GrpcBroker;
  /** Aborted when the plugin has ended, or its connection, with the reason. */
  readonly signal: AbortSignal;
}

/** A plugin whose client is more than the client of one service. Same as go-plugin's `GRPCPlugin`, on the host's side. */
export interface GrpcPlugin<T = unknown> {
  /** Makes the client. Same as go-plugin's `GRPCPlugin.GRPCClient`. */
  grpcClient(context: GrpcPluginContext): T | Promise<T>;
}

/**
 * What a plugin can be asked for, by name: a service as protobuf-es generates it, or how to make a client. Same as
 * go-plugin's `PluginSet`.
 */
export type PluginSet = Readonly<Record<string, DescService | GrpcPlugin>>;

/** Sets of plugins by the version of the application's protocol. Same as go-plugin's `VersionedPlugins`. */
export type VersionedPlugins = Readonly<Record<number, PluginSet>>;

/** All sets of a client, whatever their version: a union. Any set will do where none was given. */
export type SetsOf<Set, Versioned> = [NamedSets<Set, Versioned>] extends [never]
  ? PluginSet
  : NamedSets<Set, Versioned>;

type NamedSets<Set, Versioned> =
  | (string extends keyof Set ? never : Set)
  | (number extends keyof Versioned ? never : Versioned[keyof Versioned]);

/** The names that at least one of the sets has. */
export type NamesOf<Sets> = Sets extends unknown ? string & keyof Sets : never;

/** What the plugin of that name is dispensed as; where versions differ, one of several. */
export type Dispensed<Sets, Name> = Sets extends unknown ? (Name extends keyof Sets ? Made<Sets[Name]> : never) : never;

type Made<Plugin> =
  Plugin extends GrpcPlugin<infer T> ? Awaited<T> : Plugin extends DescService ? ServiceClient<Plugin> : never;

/**
 * Makes the client of the plugin `name`.
 *
 * @throws {PluginError} `bad-options`, with go-plugin's text, if the set has no such plugin or it speaks no gRPC
 */
export async function dispense(plugins: PluginSet, name: string, context: GrpcPluginContext): Promise<unknown> {
  if (!Object.hasOwn(plugins, name)) throw unknownPlugin(plugins, name);
  const plugin = plugins[name];
  if (isService(plugin)) return serviceClient(plugin, context.transport);
  if (isGrpcPlugin(plugin)) return plugin.grpcClient(context);
  throw new PluginError("bad-options", `plugin ${JSON.stringify(name)} doesn't support gRPC`, {
    hint: "Give a service that protobuf-es has generated, or an object with a function `grpcClient`.",
  });
}

/**
 * All sets by version: `plugins` belongs to `protocolVersion`, unless that version has a set of its own, as in
 * go-plugin.
 */
export function setsByVersion(
  protocolVersion: number | undefined,
  plugins: PluginSet | undefined,
  versionedPlugins: VersionedPlugins = {},
): ReadonlyMap<number, PluginSet> {
  const sets = new Map(Object.entries(versionedPlugins).map(([version, set]) => [Number(version), set]));
  if (protocolVersion !== undefined && !sets.has(protocolVersion) && (plugins || sets.size === 0)) {
    sets.set(protocolVersion, plugins ?? {});
  }
  return sets;
}

function unknownPlugin(plugins: PluginSet, name: string): PluginError {
  const known = Object.keys(plugins);
  return new PluginError("bad-options", `unknown plugin type: ${name}`, {
    hint:
      known.length > 0
        ? `The negotiated version has: ${known.join(", ")}.`
        : "No `plugins` were given for this version.",
  });
}

function isService(plugin: unknown): plugin is DescService {
  return typeof plugin === "object" && plugin !== null && "kind" in plugin && plugin.kind === "service";
}

function isGrpcPlugin(plugin: unknown): plugin is GrpcPlugin {
  return (
    typeof plugin === "object" && plugin !== null && "grpcClient" in plugin && typeof plugin.grpcClient === "function"
  );
}
