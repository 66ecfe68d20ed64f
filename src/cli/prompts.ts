import type { ConnectOptions, HostKeyPrompt } from "../index.ts";
import { throwIfAborted } from "../lifetime/deadline.ts";
import { harmless } from "../lifetime/tail.ts";
import { askByProgram, askpassProgram } from "./askpass.ts";
import { askOnTerminal, hasTerminal, type Question } from "./terminal.ts";

/** The options that ask a person. */
export type PromptOptions = Pick<ConnectOptions, "passphrase" | "password" | "keyboardInteractive" | "confirmHostKey">;

type Answers = Parameters<NonNullable<PromptOptions["keyboardInteractive"]>>[0];
type Ask = (text: string, echo: boolean, signal: AbortSignal) => Promise<string | undefined>;

/**
 * The options that let a person answer on the terminal, or through the program that `SSH_ASKPASS` names; none where
 * there is neither, so that nothing waits for somebody who is not there. Questions of several connections come one
 * after the other. What servers and files say is made harmless.
 */
export function promptOptions(): PromptOptions {
  const terminal = hasTerminal();
  const program = askpassProgram(process.env, terminal);
  if (program === undefined && !terminal) return {};
  const answer = (question: Question) =>
    program === undefined ? askOnTerminal(question) : askByProgram(program, question);
  const ask: Ask = (text, echo, signal) => inTurn(signal, () => answer({ text: harmless(text), echo, signal }));
  return {
    passphrase: ({ file, signal }) => ask(`Enter passphrase for key '${file}': `, false, signal),
    password: ({ user, host, signal }) => ask(`${user}@${host}'s password: `, false, signal),
    keyboardInteractive: (question) => askAll(ask, question),
    confirmHostKey: (question) => confirm(ask, question),
  };
}

/** Asks what the server asks, one thing after the other. Whose questions these are is said by us. */
async function askAll(ask: Ask, { user, host, name, instructions, prompts, signal }: Answers) {
  const answers: string[] = [];
  for (const [index, { prompt, echo }] of prompts.entries()) {
    const before = index === 0 ? [name, instructions].filter((text) => text !== "").map((text) => `${text}\n`) : [];
    const answer = await ask(`${before.join("")}(${user}@${host}) ${prompt}`, echo, signal);
    if (answer === undefined) return undefined;
    answers.push(answer);
  }
  return answers;
}

/** Whether the key is the right one: a plain yes, or its fingerprint, which is better. */
async function confirm(ask: Ask, { host, port, type, fingerprint, file, signal }: HostKeyPrompt): Promise<boolean> {
  let text =
    `No file vouches for the host key of ${host} (port ${port}):\n  ${type} ${fingerprint}\n` +
    `If it is the right one, it will be recorded in ${file}.\nConnect (yes/no/[fingerprint])? `;
  for (;;) {
    const answer = (await ask(text, true, signal))?.trim();
    if (answer === fingerprint || answer?.toLowerCase() === "yes") return true;
    if (!answer || answer.toLowerCase() === "no") return false;
    text = "Please type yes, no, or the fingerprint: ";
  }
}

let last: Promise<unknown> = Promise.resolve();

/** Runs `task` when every earlier one has ended, unless `signal` has fired by then. */
function inTurn<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
  const turn = last.then(() => {
    throwIfAborted(signal);
    return task();
  });
  last = turn.catch(() => {});
  return turn;
}
