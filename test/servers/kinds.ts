import { startEmbedded } from "./embedded.ts";
import { hasOpenSsh, startOpenSsh } from "./openssh.ts";
import type { Restrictions, ServerKind } from "./server.ts";

/** What sshd calls each restriction. */
const KEYWORDS: Record<keyof Restrictions, string> = {
  allowTcpForwarding: "AllowTcpForwarding",
  allowStreamLocalForwarding: "AllowStreamLocalForwarding",
  maxSessions: "MaxSessions",
  forceCommand: "ForceCommand",
};

/** The kinds of server that a suite should run over. */
export const serverKinds: readonly ServerKind[] = [
  { name: "embedded", available: true, start: (restrictions = {}) => startEmbedded(restrictions) },
  {
    name: "openssh",
    available: hasOpenSsh(),
    start: (restrictions = {}) => startOpenSsh({ options: configLines(restrictions), rcFiles: true }),
  },
];

function configLines(restrictions: Restrictions): string[] {
  return Object.entries(restrictions).map(([name, value]) => {
    const text = value === true ? "yes" : value === false ? "no" : value;
    return `${KEYWORDS[name as keyof Restrictions]} ${text}`;
  });
}
