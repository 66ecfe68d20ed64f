import { readFile } from "node:fs/promises";
import createDebug from "debug";
import ssh2, { type AnyAuthMethod, type ParsedKey } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { agentKeys } from "./agent-keys.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { Target } from "./destination.ts";
import { fingerprint } from "./host-key.ts";
import { expandHome, type IdentityFile, identityFiles, loadKey } from "./identity-files.ts";

const debug = createDebug("go-plugin-ssh:auth");

/** As OpenSSH's NumberOfPasswordPrompts. */
const PASSWORD_PROMPTS = 3;

/** One thing to try, and the SSH method that it counts as. It may turn out to have nothing to offer. */
interface Attempt {
  method: "publickey" | "password" | "keyboard-interactive" | "none";
  make(): Promise<AnyAuthMethod | undefined>;
}

/** Runs a caller's callback while the connection's deadline stands still, because a person may have to answer. */
export type AskPerson = <T>(ask: (signal: AbortSignal) => Promise<T> | T) => Promise<T>;

/** Offers what there is, in OpenSSH's order (agent, key files, keyboard-interactive, password), and keeps a list. */
export class Credentials {
  readonly #target: Target;
  readonly #options: ConnectOptions;
  readonly #ask: AskPerson;
  readonly #signal: AbortSignal;
  readonly #attempts: Attempt[] = [];
  readonly #tried: string[] = [];
  readonly #offered: Buffer[] = [];
  #allowed: readonly string[] | undefined;
  /** What a callback threw: it ends the connecting and becomes the cause. */
  #failure: unknown;

  constructor(target: Target, options: ConnectOptions, ask: AskPerson, signal: AbortSignal) {
    this.#target = target;
    this.#options = options;
    this.#ask = ask;
    this.#signal = signal;
    this.#plan();
  }

  /**
   * The next thing to offer, or `undefined` when nothing is left. Starts with a key at once, which saves the round
   * trip that asking for the allowed methods takes.
   *
   * @param allowed the methods that the server still takes; `undefined` before it has said so
   */
  async next(allowed: readonly string[] | undefined): Promise<AnyAuthMethod | undefined> {
    this.#allowed = allowed ?? this.#allowed;
    for (;;) {
      const index = this.#attempts.findIndex(({ method }) => !allowed || method === "none" || allowed.includes(method));
      const [attempt] = index === -1 ? [] : this.#attempts.splice(index, 1);
      if (!attempt) return undefined;
      try {
        const offer = await attempt.make();
        if (offer) return offer;
      } catch (failure) {
        this.#failure = failure;
        return undefined;
      }
    }
  }

  /** Takes note of something that went wrong on the way, for the final message. */
  note(what: string): void {
    debug("%s", what);
    this.#tried.push(what);
  }

  /** The error for a server that accepted nothing. */
  error(cause: unknown): PluginError {
    const { user, host } = this.#target;
    const tried = this.#tried.length > 0 ? this.#tried.map((line) => `\n  - ${line}`).join("") : " nothing";
    const allowed = this.#allowed?.length ? this.#allowed.join(", ") : "it did not say what";
    return new PluginError(
      "auth-failed",
      `${host} did not let ${user} in.\nTried:${tried}\nThe server takes: ${allowed}.`,
      {
        cause: this.#failure ?? cause,
        hint: "Name a key in `identityFile`, load one into the agent, or give a `password` or `keyboardInteractive` callback.",
      },
    );
  }

  #plan(): void {
    const { identityAgent = process.env.SSH_AUTH_SOCK, password, keyboardInteractive } = this.#options;
    const files = identityFiles(this.#options);
    if (identityAgent && identityAgent !== "none") {
      this.#attempts.push({ method: "publickey", make: () => this.#agent(expandHome(identityAgent), files) });
    }
    for (const file of files) this.#attempts.push({ method: "publickey", make: () => this.#keyFile(file) });
    // Without keys the server has to be asked what it takes.
    this.#attempts.push({ method: "none", make: () => this.#none() });
    if (keyboardInteractive) {
      this.#attempts.push({
        method: "keyboard-interactive",
        make: () => this.#keyboardInteractive(keyboardInteractive),
      });
    }
    if (password) this.#attempts.push({ method: "password", make: () => this.#password(password, 1, undefined) });
  }

  async #agent(socket: string, files: readonly IdentityFile[]): Promise<AnyAuthMethod | undefined> {
    try {
      const preferred = await Promise.all(files.map(({ file }) => publicKey(`${file}.pub`)));
      const { agent, keys } = await agentKeys(
        socket,
        preferred.filter((blob) => blob !== undefined),
        this.#signal,
      );
      for (const key of keys) {
        this.note(`agent key ${describe(key)}`);
        this.#offered.push(key.getPublicSSH());
      }
      if (keys.length === 0) this.note(`the agent at ${socket} holds no keys`);
      return keys.length === 0 ? undefined : { type: "agent", username: this.#target.user, agent };
    } catch (failure) {
      this.note(`the agent at ${socket} cannot be used (${(failure as Error).message})`);
      return undefined;
    }
  }

  async #keyFile({ file, explicit }: IdentityFile): Promise<AnyAuthMethod | undefined> {
    const { passphrase } = this.#options;
    const ask = () => passphrase && this.#ask((signal) => passphrase({ file, signal }));
    const loaded = await loadKey(file, async () => ask());
    if ("why" in loaded) {
      if (explicit || !loaded.why.includes("ENOENT")) this.note(`key file ${file}: ${loaded.why}`);
      return undefined;
    }
    const { key } = loaded;
    if (this.#offered.some((blob) => blob.equals(key.getPublicSSH()))) return undefined;
    this.note(`key file ${file}: ${describe(key)}`);
    return { type: "publickey", username: this.#target.user, key: key as unknown as Buffer };
  }

  async #none(): Promise<AnyAuthMethod | undefined> {
    return this.#allowed ? undefined : { type: "none", username: this.#target.user };
  }

  async #password(
    password: NonNullable<ConnectOptions["password"]>,
    attempt: number,
    previous: string | undefined,
  ): Promise<AnyAuthMethod | undefined> {
    const { user, host } = this.#target;
    const answer = await this.#ask((signal) => password({ user, host, signal }));
    if (answer === undefined || answer === previous) return undefined;
    this.note(`password of ${user}${attempt > 1 ? `, attempt ${attempt}` : ""}`);
    if (attempt < PASSWORD_PROMPTS) {
      this.#attempts.push({ method: "password", make: () => this.#password(password, attempt + 1, answer) });
    }
    return { type: "password", username: user, password: answer };
  }

  async #keyboardInteractive(
    callback: NonNullable<ConnectOptions["keyboardInteractive"]>,
  ): Promise<AnyAuthMethod | undefined> {
    this.note("keyboard-interactive");
    return {
      type: "keyboard-interactive",
      username: this.#target.user,
      prompt: (name, instructions, _language, prompts, finish) => {
        const questions = prompts.map(({ prompt, echo }) => ({ prompt, echo: echo ?? false }));
        if (questions.length === 0) return finish([]);
        this.#ask((signal) => callback({ name, instructions, prompts: questions, signal })).then(
          (answers) => finish([...(answers ?? [])]),
          (failure) => {
            this.#failure = failure;
            finish([]);
          },
        );
      },
    };
  }
}

async function publicKey(file: string): Promise<Buffer | undefined> {
  const data = await readFile(file).catch(() => undefined);
  const key = data && (ssh2.utils.parseKey(data) as ParsedKey | ParsedKey[] | Error);
  const first = Array.isArray(key) ? key[0] : key;
  return first === undefined || first instanceof Error ? undefined : first.getPublicSSH();
}

function describe(key: ParsedKey): string {
  return `${key.type} ${fingerprint(key.getPublicSSH())}${key.comment ? ` (${key.comment})` : ""}`;
}
