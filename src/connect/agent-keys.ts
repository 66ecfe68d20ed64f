import type { Duplex } from "node:stream";
import ssh2, { type BaseAgent, type GetStreamCallback, type ParsedKey } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";

/** An agent lists its keys at once, or it hangs. */
const AGENT_MS = 10_000;

/**
 * The agent's keys, those first that `preferred` holds too: servers count attempts, and an agent may hold hundreds.
 *
 * @param socket the path of the agent's socket
 * @param signal ends every conversation with the agent, the ones about signatures too
 */
export async function agentKeys(
  socket: string,
  preferred: readonly Buffer[],
  signal: AbortSignal,
): Promise<{ agent: BaseAgent; keys: ParsedKey[] }> {
  const agent = ssh2.createAgent(socket);
  const onTimeout = () => new PluginError("timeout", `It did not list its keys within ${AGENT_MS} ms.`);
  const keys = await within({ signal, timeoutMs: AGENT_MS, onTimeout }, (over) => {
    return identities(withStreamsUntil(ssh2.createAgent(socket), over));
  });
  const rank = (key: ParsedKey) => (preferred.some((blob) => blob.equals(key.getPublicSSH())) ? 0 : 1);
  keys.sort((a, b) => rank(a) - rank(b));
  return { agent: withStreamsUntil(agent, signal), keys };
}

/** The agent, whose connections are closed when `signal` aborts: ssh2 keeps them while the agent does not answer. */
function withStreamsUntil(agent: BaseAgent, signal: AbortSignal): BaseAgent {
  const getStream = agent.getStream?.bind(agent);
  if (!getStream) return agent;
  agent.getStream = (callback: GetStreamCallback) => {
    getStream((failure, stream) => {
      if (stream) closeOn(signal, stream);
      callback(failure, stream);
    });
  };
  return agent;
}

function closeOn(signal: AbortSignal, stream: Duplex): void {
  const close = () => stream.destroy();
  signal.addEventListener("abort", close, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", close));
  if (signal.aborted) close();
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
