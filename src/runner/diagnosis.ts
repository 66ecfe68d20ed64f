import { harmless } from "../lifetime/tail.ts";

/** What `inspect.sh` found out about the box and the plugin's file. */
export type Facts = Readonly<Record<string, string>>;

/** ELF `e_machine`, as the ELF specification numbers them, with the names that `uname -m` uses. */
const MACHINES: Record<number, [name: string, runsOn: RegExp]> = {
  3: ["EM_386 (i386)", /^(i[3-6]86|x86_64|amd64)$/],
  8: ["EM_MIPS", /^mips/],
  20: ["EM_PPC", /^ppc/],
  21: ["EM_PPC64", /^ppc64/],
  22: ["EM_S390", /^s390/],
  40: ["EM_ARM (arm)", /^(arm|aarch64|arm64)/],
  62: ["EM_X86_64 (x86_64)", /^(x86_64|amd64)$/],
  183: ["EM_AARCH64 (aarch64)", /^(aarch64|arm64)/],
  243: ["EM_RISCV (riscv64)", /^riscv/],
  258: ["EM_LOONGARCH (loongarch64)", /^loongarch/],
};

/** Why the command cannot run on this box, and what to do; `undefined` if the facts do not show it. */
export function whyNotStarted(facts: Facts): { what: string; hint: string } | undefined {
  if (facts.file === undefined || facts.header === undefined) return undefined;
  const machine = elfMachine(facts.header);
  const here = facts.uname?.split(" ").at(-1) ?? "";
  if (machine !== undefined && here !== "" && !machine.runsOn.test(here)) {
    return {
      what: `it was built for ${machine.name} and the box is ${here}`,
      hint: "Install the plugin's build for the box's architecture.",
    };
  }
  if (facts.loader_missing !== undefined) {
    return {
      what: `its loader ${facts.loader_missing} is not on the box`,
      hint: "It was linked for another C library (glibc or musl): install that one, or a statically linked build.",
    };
  }
  if (facts.shebang !== undefined) {
    return {
      what: `its interpreter could not be run (${harmless(facts.shebang)})`,
      hint: "Install the interpreter that the script's first line names.",
    };
  }
  return undefined;
}

/**
 * What is known about a plugin that did not come up, in the shape of go-plugin's own notes
 * (`internal/cmdrunner/notes_unix.go`), about the file on the box.
 *
 * @param ways what is not as usual about how the plugin is reached, a line each
 */
export function diagnosisText(facts: Facts, exit: string, stderr: string, ways: readonly string[] = []): string {
  const lines = [
    "This usually means",
    "  the plugin was not compiled for the box's architecture,",
    "  the plugin is missing dynamic-link libraries necessary to run,",
    "  the plugin is not executable by this login due to file permissions, or",
    "  the plugin failed to negotiate the initial go-plugin protocol handshake",
    "",
    ...notes(facts),
    ...(exit === "" ? [] : [`  Ended with: ${exit}`]),
  ];
  const why = whyNotStarted(facts);
  if (why) lines.push(`  Cannot run: ${why.what}.`);
  lines.push(...ways.map((way) => `  ${way}`));
  if (stderr !== "") lines.push("Its stderr ended with:", stderr.trimEnd().replace(/^/gm, "  "));
  return lines.join("\n");
}

/** The facts as indented lines under a heading; empty if there are none. */
export function notes(facts: Facts): string[] {
  const machine = facts.header === undefined ? undefined : elfMachine(facts.header);
  const here = facts.uname?.split(" ").at(-1) ?? "unknown";
  const rows: [string, string | undefined][] = [
    ["Path", facts.file || undefined],
    ["Mode and owner", facts.listing],
    ["ELF architecture", machine && `${machine.name} (current architecture: ${here})`],
    ["ELF loader", facts.loader && `${facts.loader}${facts.loader_missing ? " (missing)" : ""}`],
    ["Script", facts.shebang],
    ["Box", facts.uname],
    ["Login", facts.user],
    ["PATH", facts.file ? undefined : facts.path],
    ["File system", facts.mounted],
  ];
  const known = rows.flatMap(([name, value]) => (value ? [`  ${name}: ${harmless(value)}`] : []));
  return known.length > 0 ? ["Additional notes about plugin:", ...known] : [];
}

/** Reads the first 20 bytes of a file, in hexadecimal, as the ELF specification lays them out. */
function elfMachine(header: string): { name: string; runsOn: RegExp } | undefined {
  const bytes = Buffer.from(header, "hex");
  if (bytes.length < 20 || bytes.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const machine = bytes[5] === 2 ? bytes.readUInt16BE(18) : bytes.readUInt16LE(18);
  const [name, runsOn] = MACHINES[machine] ?? [`machine ${machine}`, /^$/];
  return { name, runsOn };
}
