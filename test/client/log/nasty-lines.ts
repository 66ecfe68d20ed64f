import type { Random } from "../../tools/random.ts";

const SLIPS = [
  '"',
  "\\",
  "{",
  "[",
  "\0",
  "\r",
  "\x1b[2J",
  "\ufeff",
  "\u2028",
  "日本",
  "🙂",
  "\\ud800",
  "[ERROR]",
  "1e999",
  "null",
  Buffer.of(0xff),
  Buffer.of(0xe6, 0x97),
];
const LEVELS = ["trace", "debug", "info", "warn", "error", " WARN ", "off", "fatal", "", "[INFO]"];
const NAMES = [
  "n",
  "@module",
  "@caller",
  "__proto__",
  "constructor",
  "toString",
  "toJSON",
  "then",
  "0",
  "",
  "é",
  "hasOwnProperty",
];
const NUMBERS = ["0", "-0", "12", "1.5e300", "1e999", "-1e-999", "9007199254740993", "123456789012345678901234567890"];

/** A line that a host must take: from what every plugin writes to what none would. Without `\n`. */
export function nastyLine(random: Random): Buffer {
  const kinds = [
    () => object(random),
    () => object(random),
    () => random.mutate(object(random), SLIPS),
    () => random.mutate(object(random), SLIPS),
    () => random.bytes(random.below(60)),
    () => text(random),
  ];
  const line = random.pick(kinds)();
  return Buffer.from(line.map((byte) => (byte === 0x0a ? 0x20 : byte)));
}

/** A JSON object, written by hand so that names may come twice and numbers be too large. */
function object(random: Random): Buffer {
  const pairs = [
    ...(random.below(8) > 0 ? [`"@level":${JSON.stringify(random.pick(LEVELS))}`] : []),
    ...(random.below(8) > 0 ? [`"@message":${JSON.stringify(words(random))}`] : []),
    ...(random.below(4) > 0 ? [`"@timestamp":"${time(random)}"`] : []),
    ...random.times(random.below(4), () => `${JSON.stringify(random.pick(NAMES))}:${value(random, 3)}`),
  ];
  if (random.below(20) === 0) pairs.push(`"${random.pick(["@level", "@message", "@timestamp"])}":${value(random, 1)}`);
  return Buffer.from(`{${pairs.sort(() => random.below(3) - 1).join(random.pick([",", ", ", ",\t"]))}}`);
}

function value(random: Random, deep: number): string {
  const items = () => random.times(random.below(3), () => value(random, deep - 1));
  const kinds = [
    () => JSON.stringify(words(random)),
    () => random.pick(["null", "true", "false", '"\\ud800"', '"\\u0000"']),
    () => random.pick(NUMBERS),
    () => (deep > 0 ? `[${items()}]` : "[]"),
    () => (deep > 0 ? `{${items().map((item) => `${JSON.stringify(random.pick(NAMES))}:${item}`)}}` : "{}"),
    // Go draws a line at 10,000, we at 1,000; what is between them is of no use to anybody.
    () => (random.below(200) === 0 ? nest(random.pick([500, 12_000])) : "1"),
  ];
  return random.pick(kinds)();
}

/** Lists in lists. */
export function nest(depth: number): string {
  return `${"[".repeat(depth)}${"]".repeat(depth)}`;
}

/** A time as hclog writes it, or now and then one that is wrong in any of its parts. */
function time(random: Random): string {
  const off = random.below(5) === 0 ? 2 : 0;
  const two = (limit: number, first = 0) => String(first + random.below(limit + off)).padStart(2, "0");
  const fraction = random.pick([String(random.below(1_000_000)).padStart(6, "0"), "000000", off ? "123" : "999999"]);
  const zone = random.pick(["Z", "+02:00", `-${two(24)}:${two(60)}`, off ? "" : "+00:00"]);
  return `20${two(98)}-${two(12, 1)}-${two(28, 1)}T${two(24)}:${two(60)}:${two(60)}.${fraction}${zone}`;
}

function text(random: Random): Buffer {
  const front = random.pick([
    "",
    "[TRACE] ",
    "[DEBUG]",
    "[INFO] ",
    "[WARN] ",
    "[ERROR] ",
    "[error] ",
    "12",
    "null",
    '"',
    "\r",
  ]);
  return Buffer.from(`${front}${words(random)}${random.pick(["", "", "\r", " "])}`);
}

function words(random: Random): string {
  return random
    .times(random.below(5), () => random.pick(["disk", "full", "naïve", "🙂", "a=b", "\t", '"', "%s"]))
    .join(" ");
}
