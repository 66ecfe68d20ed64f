import type { Readable } from "node:stream";
import createDebug from "debug";
import { harmless } from "../../lifetime/tail.ts";
import type { Phase } from "../ssh2-errors.ts";

const debug = createDebug("go-plugin-ssh:openssh");

/** More lines than `ssh` has ever needed to say why it failed. */
const KEPT_LINES = 60;
const LONGEST_LINE = 2_000;

/** What `ssh` says when it has come so far. */
const STEPS: readonly (readonly [RegExp, Phase])[] = [
  [/^debug1: Connecting to /, "dialling"],
  [/^debug1: (Connection established|Executing proxy command)/, "banner"],
  [/^debug1: Remote protocol version /, "key exchange"],
  [/^debug1: SSH2_MSG_SERVICE_ACCEPT received|^debug1: Authentications that can continue/, "authentication"],
  [/^debug1: Entering interactive session/, "ready"],
];

/** Follows what `ssh` says on stderr at LogLevel DEBUG1: how far it has come, what it complains of, what it offered. */
export class SshLog {
  phase: Phase = "dialling";
  /** What it said to people, newest last. */
  readonly said: string[] = [];
  /** The keys and methods that it tried. */
  readonly tried: string[] = [];
  /** What the server said in place of its banner. */
  greeting = "";
  /** The methods that the server still takes. */
  allowed: string | undefined;
  /** The server's key: its type and fingerprint. */
  hostKey: string | undefined;
  #rest = "";

  /** @param onPhase called when it has come further */
  constructor(stderr: Readable, onPhase: (phase: Phase) => void) {
    stderr.setEncoding("utf8");
    stderr.on("error", () => {});
    stderr.on("data", (chunk: string) => {
      const lines = `${this.#rest}${chunk}`.split("\n");
      this.#rest = (lines.pop() ?? "").slice(0, LONGEST_LINE);
      for (const line of lines) this.#take(harmless(line.replace(/\r$/, "").slice(0, LONGEST_LINE)), onPhase);
    });
    stderr.on("end", () => this.#rest !== "" && this.#take(harmless(this.#rest), onPhase));
  }

  /** What it said to people, in one text. */
  get text(): string {
    return this.said.join("\n");
  }

  #take(line: string, onPhase: (phase: Phase) => void): void {
    debug("%s", line);
    const [, next] = STEPS.find(([pattern]) => pattern.test(line)) ?? [];
    if (next !== undefined) {
      this.phase = next;
      onPhase(next);
    }
    const [, about] = /^debug1: (.*)$/.exec(line) ?? [];
    if (about === undefined) this.#keep(line);
    else this.#note(about);
  }

  #note(about: string): void {
    const [, key] = /^Offering public key: (.*)$/.exec(about) ?? [];
    if (key !== undefined) this.#try(`key ${key}`);
    const [, method] = /^Next authentication method: (.*)$/.exec(about) ?? [];
    if (method !== undefined && method !== "publickey") this.#try(method);
    const [, without] = /^(?:Trying private key|No such identity): (.*)$/.exec(about) ?? [];
    if (without !== undefined) debug("key file %s", without);
    this.allowed = /^Authentications that can continue: (.*)$/.exec(about)?.[1] ?? this.allowed;
    this.hostKey = /^Server host key: (.*)$/.exec(about)?.[1] ?? this.hostKey;
    const [, greeting] = /^kex_exchange_identification: banner line \d+: (.*)$/.exec(about) ?? [];
    if (greeting !== undefined) this.greeting = `${this.greeting}${greeting}\n`.slice(0, LONGEST_LINE);
  }

  #try(what: string): void {
    if (this.tried.length < KEPT_LINES) this.tried.push(what);
  }

  #keep(line: string): void {
    if (line.trim() === "" || /^debug[23]: /.test(line)) return;
    this.said.push(line);
    if (this.said.length > KEPT_LINES) this.said.shift();
  }
}
