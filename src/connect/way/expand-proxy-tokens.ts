import { PluginError } from "../../contract/errors.ts";

/** What the tokens of a command or a list of jump hosts stand for. */
export interface TokenValues {
  /** `%h`: where to connect in the end. */
  readonly host: string;
  /** `%n`: what was asked for. */
  readonly alias: string;
  /** `%p` */
  readonly port: number;
  /** `%r` */
  readonly user: string;
}

/** What a shell would take for more than a word. Same as OpenSSH's `valid_hostname` and `valid_ruser` from 9.6 on. */
const SHELL_WORDS = /['`"$\\;&<>|(){}\s]/;
const SHELL_USERS = /['`";&<>|(){}]|\\$/;

/**
 * Puts in what `%h`, `%n`, `%p`, `%r` and `%%` stand for, as OpenSSH does in `ProxyCommand` and `ProxyJump`.
 *
 * @param option the option that is expanded, for messages
 * @throws {PluginError} `config-error` for another token, and for a value that a shell would not take for a plain word
 */
export function expandProxyTokens(option: string, text: string, values: TokenValues): string {
  return text.replace(/%(.?)/gsu, (token) => {
    switch (token) {
      case "%%":
        return "%";
      case "%h":
        return plain(option, token, values.host, SHELL_WORDS);
      case "%n":
        return plain(option, token, values.alias, SHELL_WORDS);
      case "%p":
        return String(values.port);
      case "%r":
        return plain(option, token, values.user, SHELL_USERS);
      default:
        throw new PluginError("config-error", `\`${option}\` has ${JSON.stringify(token)}, which stands for nothing.`, {
          hint: "It may have %h, %n, %p and %r, and %% for a percent sign.",
        });
    }
  });
}

function plain(option: string, token: string, value: string, refused: RegExp): string {
  if (!refused.test(value)) return value;
  throw new PluginError(
    "config-error",
    `\`${option}\` has ${token}, and ${JSON.stringify(value)} has signs that a shell acts upon.`,
    { hint: `Write it down in place of ${token}, with the quotes that it needs.` },
  );
}
