import type { Duplex } from "node:stream";
import { type Address, formatAddress } from "../contract/address.ts";
import { SshRunner, type SshRunnerOptions } from "../runner/ssh-runner.ts";
import type { Clock, Tell } from "./steps.ts";

/** An {@link SshRunner} that tells of its steps while a client leads it through them. */
export class ToldRunner extends SshRunner {
  readonly #clock: Clock;
  readonly #tell: Tell;
  /** Where the plugin listens on the box, as its handshake line says; empty before that. */
  pluginPath = "";
  /** Where the plugin reaches this side, on the box; empty before it was told. */
  hostPath = "";

  constructor(options: SshRunnerOptions, clock: Clock, tell: Tell) {
    super(options);
    this.#clock = clock;
    this.#tell = tell;
  }

  /** The process id on the box. */
  get pid(): string {
    return this.id.split("#").at(-1) ?? "";
  }

  override async start(signal?: AbortSignal): Promise<void> {
    await super.start(signal);
    const text = `Started the plugin on the box: process ${this.pid}, owned by a small supervisor that came along.`;
    this.#tell({ step: "exec", ms: this.#clock.lap(), text });
  }

  override async hostToPlugin(hostAddress: Address, signal?: AbortSignal): Promise<Address> {
    const there = await super.hostToPlugin(hostAddress, signal);
    this.hostPath = formatAddress(there);
    return there;
  }

  /** The client opens its stream when it has read the handshake line. */
  override async openStream(pluginAddress: Address, signal?: AbortSignal): Promise<Duplex> {
    this.pluginPath = formatAddress(pluginAddress);
    const text = `The plugin listens on ${this.pluginPath}, in a private directory that the supervisor made.`;
    this.#tell({ step: "handshake", ms: this.#clock.lap(), text });
    return super.openStream(pluginAddress, signal);
  }
}
