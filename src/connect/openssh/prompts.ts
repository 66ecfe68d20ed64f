import { createServer, type Server, type Socket } from "node:net";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { harmless } from "../../lifetime/tail.ts";
import type { AskPerson } from "../ask-person.ts";
import type { HostKeyPrompt } from "../connect-options.ts";
import type { Settings } from "../settings.ts";

const debug = createDebug("go-plugin-ssh:auth");

/** Longer than any question. */
const LONGEST = 64 * 1024;

/** A question for the passphrase of a key file, or for the PIN of a token: by its label, or by the key file that needs it. */
const SECRET_OF = /^Enter (?:passphrase|PIN)(?: and confirm user presence)? for (?:[A-Z\d-]+ )?(?:key )?'?(.*?)'?: *$/;

/** The names of key types in `ssh`'s question about a host key, where they are not the types' own. */
const KEY_TYPES: Record<string, string> = { ED25519: "ssh-ed25519", RSA: "ssh-rsa", DSA: "ssh-dss" };

/** Answers what `ssh` asks through its SSH_ASKPASS, by the caller's callbacks. Nobody else is asked. */
export class Prompts {
  /** What a callback threw: it ends the connecting. */
  failure: unknown;
  readonly #settings: Settings;
  readonly #ask: AskPerson;
  readonly #onFailure: () => void;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();

  /**
   * @param ask runs a callback while the connection's deadline stands still
   * @param onFailure called when a callback has thrown
   */
  constructor(settings: Settings, ask: AskPerson, onFailure: () => void) {
    this.#settings = settings;
    this.#ask = ask;
    this.#onFailure = onFailure;
  }

  /** Listens at `path`. */
  listen(path: string): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#arrived(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", (cause) => {
        reject(new PluginError("config-error", `Nobody can be asked: ${cause.message}.`, { cause }));
      });
      server.listen({ path }, resolve);
    });
  }

  /** Answers nothing any more. */
  close(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #arrived(socket: Socket): void {
    let text = "";
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {});
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > LONGEST) socket.destroy();
      if (text.endsWith("\n")) void this.#answer(socket, text);
    });
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    try {
      const { text, kind } = JSON.parse(line) as { text: string; kind: string };
      // A notice, "touch your key" for example, is shown until `ssh` takes it away.
      if (kind === "none") {
        this.#show(text.trim());
        return;
      }
      const answer = await this.#question(text);
      debug("%s %s", answer === undefined ? "not answered:" : "answered:", harmless(text.trim()));
      socket.end(answer === undefined ? "" : JSON.stringify(answer));
    } catch (failure) {
      this.failure ??= failure ?? new PluginError("aborted", "A callback gave up.");
      socket.destroy();
      this.#onFailure();
    }
  }

  /** What the callback throws is its own affair, as with every notice. */
  #show(notice: string): void {
    try {
      this.#settings.options.onNotice?.(notice);
    } catch (failure) {
      debug("onNotice threw: %s", failure);
    }
  }

  /** Finds out what is asked, by the words that OpenSSH has for it. */
  async #question(text: string): Promise<string | undefined> {
    // What a server asks begins with the login in brackets, so it cannot pass for a question of `ssh`'s own.
    const [, who, address, asked] = /^\((.*?)@([^)]*)\) ([\s\S]*)$/.exec(text) ?? [];
    if (asked !== undefined) return this.#keyboardInteractive(who ?? "", address ?? "", asked);
    if (/ can't be established/.test(text)) return this.#hostKey(text);
    const [, file] = SECRET_OF.exec(text) ?? [];
    if (file !== undefined) return this.#passphrase(file);
    const [, user, host] = /^(.*)@(.*?)'s password: *$/.exec(text) ?? [];
    if (user !== undefined && host !== undefined) return this.#password(user, host);
    return undefined;
  }

  async #keyboardInteractive(user: string, host: string, prompt: string): Promise<string | undefined> {
    const { keyboardInteractive } = this.#settings.options;
    if (!keyboardInteractive) return undefined;
    // `ssh` asks one question at a time and does not say whether its answer may be seen.
    const question = { user, host, name: "", instructions: "", prompts: [{ prompt, echo: false }] };
    const answers = await this.#ask((signal) => keyboardInteractive({ ...question, signal }));
    const answer: unknown = answers?.[0];
    return isLine(answer, "keyboardInteractive", "an array of strings or undefined");
  }

  async #passphrase(file: string): Promise<string | undefined> {
    const { passphrase } = this.#settings.options;
    if (!passphrase) return undefined;
    const answer = await this.#ask((signal) => passphrase({ file, signal }));
    return isLine(answer, "passphrase", "a string or undefined");
  }

  /** A jump host may ask too, so it is told who asks. */
  async #password(user: string, host: string): Promise<string | undefined> {
    const { password } = this.#settings.options;
    if (!password) return undefined;
    const answer = await this.#ask((signal) => password({ user, host, signal }));
    return isLine(answer, "password", "a string or undefined");
  }

  async #hostKey(text: string): Promise<string> {
    const { options, target } = this.#settings;
    const { confirmHostKey } = options;
    const [, name = ""] = /host '(\S+) /.exec(text) ?? [];
    const [, shown = name || target.host, port = "22"] = /^\[(.*)\]:(\d+)$/.exec(name) ?? [];
    const [, type = "", fingerprint = ""] = /(\S+) key fingerprint is (SHA256:[\w+/]+)/.exec(text) ?? [];
    if (!confirmHostKey || fingerprint === "") return "no";
    const question: Omit<HostKeyPrompt, "signal"> = {
      host: shown,
      port: Number(port),
      type: KEY_TYPES[type] ?? type.toLowerCase(),
      fingerprint,
      file: [options.userKnownHostsFile ?? "~/.ssh/known_hosts"].flat()[0] ?? "",
    };
    const yes = await this.#ask((signal) => confirmHostKey({ ...question, signal }));
    // With the fingerprint as the answer, `ssh` compares once more.
    return yes === true ? fingerprint : "no";
  }
}

/** The answer is not repeated: it was meant to be a secret. */
function isLine(answer: unknown, name: string, what: string): string | undefined {
  if (answer === undefined) return undefined;
  if (typeof answer === "string" && !/[\r\n\0]/.test(answer)) return answer;
  const hint = typeof answer === "string" ? "`ssh` takes one line only." : "";
  throw new PluginError("bad-options", `\`${name}\` must answer with ${what}.`, { hint });
}
