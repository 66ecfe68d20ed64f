import ssh2, { type BaseAgent, type ParsedKey, type SignCallback, type SigningRequestOptions } from "ssh2";
import { within } from "../lifetime/deadline.ts";

/** An agent answers at once, or hangs, or waits for a person who is asked to unlock it. */
const AGENT_MS = 10_000;

/** Gives ssh2 the keys that were chosen, in their order, and leaves signing to the agent that holds them. */
export class ChosenKeys extends ssh2.BaseAgent<ParsedKey> {
  readonly #agent: BaseAgent;
  readonly #keys: ParsedKey[];

  constructor(agent: BaseAgent, keys: ParsedKey[]) {
    super();
    this.#agent = agent;
    this.#keys = keys;
  }

  override getIdentities(callback: (failure: Error | null | undefined, keys?: ParsedKey[]) => void): void {
    callback(null, this.#keys);
  }

  override sign(
    key: ParsedKey,
    data: Buffer,
    optionsOrCallback: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    if (typeof optionsOrCallback === "function") this.#agent.sign(key, data, optionsOrCallback);
    else this.#agent.sign(key, data, optionsOrCallback, callback);
  }
}

/**
 * The agent's keys, those first that `preferred` holds too: servers count attempts, and an agent may hold hundreds.
 *
 * @param socket the path of the agent's socket
 */
export async function agentKeys(
  socket: string,
  preferred: readonly Buffer[],
  signal: AbortSignal,
): Promise<{ agent: ChosenKeys; keys: ParsedKey[] }> {
  const agent = ssh2.createAgent(socket);
  const keys = await within({ signal, timeoutMs: AGENT_MS }, () => identities(agent));
  const rank = (key: ParsedKey) => (preferred.some((blob) => blob.equals(key.getPublicSSH())) ? 0 : 1);
  keys.sort((a, b) => rank(a) - rank(b));
  return { agent: new ChosenKeys(agent, keys), keys };
}

function identities(agent: BaseAgent): Promise<ParsedKey[]> {
  return new Promise((resolve, reject) => {
    agent.getIdentities((failure, keys) => {
      if (failure) return reject(failure);
      const parsed = (keys ?? []).map((key) => ssh2.utils.parseKey(key as ParsedKey) as ParsedKey | Error);
      resolve(parsed.filter((key): key is ParsedKey => !(key instanceof Error)));
    });
  });
}
