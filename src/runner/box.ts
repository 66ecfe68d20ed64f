import type { Duplex } from "node:stream";
import type { Address } from "../contract/address.ts";
import type { AddrTranslator } from "../contract/runner.ts";
import type { Care } from "../exec/launch.ts";
import type { Exec } from "../exec/run-program.ts";
import type { SpareSupervisor } from "../exec/spare-supervisor.ts";
import type { StartReport } from "../exec/start-report.ts";

/** Translates addresses of one plugin, until it is closed. */
export type Translator = AddrTranslator & {
  /** Connects to an address of the plugin without a listener. */
  openStream(pluginAddress: Address, signal?: AbortSignal): Promise<Duplex>;
  /** What is not as usual about how addresses are reached, in lines for people. */
  notes(): readonly string[];
  /** Resolves when no connection through it is open, and what came through has been passed on. */
  settled(): Promise<void>;
  close(): Promise<void>;
};

/** Supervisors that wait for starts whose plugins are looked after in the same way. */
export interface Spares {
  /** Hands one over, if one waits. */
  take(start: SpareStart): SpareSupervisor | undefined;
  /** Has the missing ones made, after a start. */
  refill(start: SpareStart): void;
}

/** What must be the same for a supervisor that was made earlier. */
export interface SpareStart {
  readonly care: Care;
  readonly heartbeatIntervalMs: number;
}

/** A machine that plugins can run on: one behind SSH, or this one. */
export interface Box {
  /** For messages and the plugin's id: `ssh://user@host:port`. */
  readonly name: string;
  /** Where to connect in order to find it again; `undefined` for this machine. */
  readonly destination?: string;
  /** Aborts when the box cannot be reached any more. */
  readonly lost: AbortSignal;
  readonly exec: Exec;
  /** A translator for a plugin that was started. */
  translator(report: StartReport): Translator;
  /** The supervisors that wait on it; `undefined` where none do. */
  readonly spares?: Spares;
  /** Lets go of the box. Never rejects. */
  close(): Promise<void>;
}
