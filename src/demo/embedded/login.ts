import ssh2, { type AuthContext, type AuthenticationType, type PublicKeyAuthContext } from "ssh2";
import type { Visit } from "./box.ts";
import type { ResolvedOptions } from "./options.ts";

/** Answers the client's attempts to log in, by key, password or questions. */
export function serveLogin({ box, connection }: Visit): void {
  const { options } = box;
  connection.on("authentication", (attempt) => {
    if (box.hangAt === "auth") return;
    if (attempt.method === "keyboard-interactive" && offers(options).includes(attempt.method)) {
      return ask(attempt, options);
    }
    settle(attempt, options, isWelcome(attempt, options));
  });
}

/** The methods that may be tried. */
function offers({ passwords, keyboardInteractive }: ResolvedOptions): AuthenticationType[] {
  return [
    "publickey",
    ...(Object.keys(passwords).length > 0 ? (["password"] as const) : []),
    ...(keyboardInteractive ? (["keyboard-interactive"] as const) : []),
  ];
}

function settle(attempt: AuthContext, options: ResolvedOptions, welcome: boolean): void {
  // A probe for a key is accepted too, and counts for nothing until its signature comes.
  if (welcome && !(attempt.method === "publickey" && !attempt.signature)) {
    options.log(`accepted ${attempt.method} for ${attempt.username}`);
  } else if (!welcome) {
    options.log(`refused ${attempt.method} for ${attempt.username}`);
  }
  if (welcome) attempt.accept();
  else attempt.reject(offers(options));
}

function isWelcome(attempt: AuthContext, options: ResolvedOptions): boolean {
  const { username } = attempt;
  if (attempt.method === "password") {
    return options.passwords[username] === attempt.password;
  }
  return attempt.method === "publickey" && username === options.user && opensWith(attempt, options.authorizedKeys);
}

/** Whether the key is one of `keys` and, where the client sent a signature, whether that is right. */
function opensWith({ key, signature, blob, hashAlgo }: PublicKeyAuthContext, keys: readonly string[]): boolean {
  return keys.some((line) => {
    const known = ssh2.utils.parseKey(line);
    if (known instanceof Error || !known.getPublicSSH().equals(key.data)) return false;
    return !signature || !blob || known.verify(blob, signature, hashAlgo) === true;
  });
}

function ask(attempt: AuthContext & { method: "keyboard-interactive" }, options: ResolvedOptions): void {
  const { prompts, answers } = options.keyboardInteractive ?? { prompts: [], answers: [] };
  attempt.prompt(
    prompts.map((prompt) => ({ prompt, echo: false })),
    (given: unknown) => {
      // ssh2 gives an error here when the client turned to another method instead of answering.
      if (!Array.isArray(given)) return;
      const right = given.length === answers.length && answers.every((answer, index) => given[index] === answer);
      settle(attempt, options, attempt.username === options.user && right);
    },
  );
}
