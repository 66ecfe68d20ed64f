import type { BenchResult, Circumstances, Line, NetworkResult, Score } from "./result.ts";
import { WAY_NAMES } from "./ways/way.ts";

const NAME = 20;
const UNIT = 5;
const CELL = 14;

/** The whole result as text, at most 95 columns wide. */
export function table({ circumstances, networks }: BenchResult): string {
  return `${[head(circumstances), ...networks.map(section), LEGEND].join("\n\n")}\n`;
}

/** What to know about the machine and the programs. */
export function head({ date, machine, versions, cipher, autoMtls, quick, load }: Circumstances): string {
  const { node, openssh, go, goPlugin, ssh2 } = versions;
  return [
    `go-plugin-ssh ${versions.package}, ${date}${quick ? ", --quick: these figures mean little" : ""}`,
    machine,
    `Node ${node}, ssh2 ${ssh2}, OpenSSH ${openssh}, Go ${go}, go-plugin ${goPlugin}`,
    `${cipher}, AutoMTLS ${autoMtls ? "on" : "off"}, load ${load.before.toFixed(1)} before, ${load.after.toFixed(1)} after`,
  ].join("\n");
}

function section({ name, roundTripMs, rounds, lines }: NetworkResult): string {
  const title = name === "wan" ? `A long line, ${roundTripMs} ms round trip` : "Loopback";
  const heads = WAY_NAMES.map((way) => way.padStart(CELL)).join("");
  return [
    `${title}, ${rounds} ${rounds === 1 ? "round" : "rounds"}`,
    `${" ".repeat(NAME + UNIT)}${heads}`,
    ...lines.map(row),
  ].join("\n");
}

function row({ figure, unit, ways }: Line): string {
  const cells = WAY_NAMES.map((way) => cell(ways[way], way === "ssh -L").padStart(CELL));
  return `${figure.padEnd(NAME)}${unit.padEnd(UNIT)}${cells.join("")}`;
}

function cell(score: Score | null, isBaseline: boolean): string {
  if (!score) return "-".padEnd(isBaseline ? 0 : 6);
  const ratio = isBaseline || score.ratio === null ? "     " : ` ×${score.ratio.toPrecision(score.ratio < 1 ? 2 : 3)}`;
  return `${number(score.median)}${ratio.padEnd(6)}`;
}

/** Three digits that count. */
function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const LEGEND = [
  "Medians. × is how many times as long as over `ssh -L` it takes, round by round: below 1 is faster.",
  "direct: a socket of this machine. ssh -L: the system's ssh. stream: SshRunner.openStream. forward: pluginToHost.",
  'relay: a program on the box (relay: "always"). A dash: there is no such thing.',
].join("\n");
