import { PluginError } from "../../src/contract/errors.ts";
import { buildEnvironment } from "../../src/exec/environment.ts";
import fc from "../tools/property.ts";

/** What is to arrive at a plugin unchanged. */
export interface Sent {
  args: string[];
  environment: Record<string, string>;
  /** Names of directories, each in the one before. */
  directory: string[];
}

/** What a shell, a terminal or a parser may take for something else. */
const PIECES = [
  ..."'\"`$\\!*?[]{}()<>|&;#~=%^@:, -/.",
  ..."\n\t\r\x01\x02\x08\x1b\x7f\u0080\u0081\u0088\u00ff\u2028\ufeff\ud7ff\uffff",
  ..."aZ0_é日本🦀𝕏\u{10ffff}",
  "\r\n",
  "\\n",
  "$(touch x)",
  "`id`",
  "${HOME}",
  "$((1+1))",
  "$'x'",
  "!!",
  "'\\''",
  "--",
  "-n",
  "&&",
  "<<EOF\n",
  "EOF\n",
  "stop\n",
  "heartbeat\n",
  "exit 1\n",
  "gps_nl=",
];

const character = fc
  .string({ unit: "binary", minLength: 1, maxLength: 1 })
  .filter((text) => !text.includes("\0") && text.isWellFormed());
const text = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), character), { maxLength: 24 })
  .map((pieces) => pieces.join(""));

/** 64 KiB of a short text, over and over. */
const long = text.filter((one) => one !== "").map((one) => one.repeat(Math.ceil(65_536 / Buffer.byteLength(one))));
const value = fc.oneof({ weight: 400, arbitrary: text }, { weight: 1, arbitrary: long });

/** What the loader of programs or the fixture's own shell would take for itself. */
const NOT_FOR_US = /^(LD_|GLIBC_|MALLOC_|PATH$|HOME$|TRIAL$|_$|PWD$|OLDPWD$|SHLVL$)/;
const name = fc
  .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/)
  .filter((one) => !NOT_FOR_US.test(one) && mayTravel(one));

const fileName = fc
  .oneof(text, fc.constantFrom("-", "--", "-P", "~", "*", " ", "\n", "$HOME", "a\n", "\\"))
  .map((one) => one.replaceAll("/", "_"))
  .filter((one) => one !== "" && one !== "." && one !== ".." && Buffer.byteLength(one) <= 200);

/** Any command line, environment and directory that a process can be given. */
export const sent: fc.Arbitrary<Sent> = fc.record({
  args: fc.array(value, { maxLength: 6 }),
  environment: fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }),
  directory: fc.array(fileName, { maxLength: 2 }),
});

/** Whether a variable of this name may be sent at all. */
export function mayTravel(variable: string): boolean {
  try {
    const environment = Object.fromEntries([[variable, "x"]]);
    buildEnvironment({ environment, forwardEnvironment: [], hostEnvironment: {} });
    return true;
  } catch (failure) {
    if (failure instanceof PluginError && failure.code === "bad-options") return false;
    throw failure;
  }
}
