import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const TOP = fileURLToPath(new URL("..", import.meta.url));
const ROOMS = ["connect", "exec", "handshake", "translate", "dial"];
const ENTRY_POINTS = ["src/index.ts", "src/client.ts"];

/** Which folders of src a folder may import from, besides itself. What is not listed is a closed door. */
const DOORS: Record<string, readonly string[]> = {
  contract: [],
  lifetime: ["contract"],
  ...Object.fromEntries(ROOMS.map((room) => [room, ["contract", "lifetime"]])),
  runner: ["contract", "lifetime", "connect", "exec", "translate"],
  client: ["contract", "lifetime", "handshake", "dial"],
  carry: ["contract", "lifetime", "handshake", "dial"],
  cli: [...ENTRY_POINTS, "lifetime", "demo", "shim", "client", "package.json"],
  // It looks at the handshake line and at the environment by itself, and must not load what the second entry point needs.
  shim: ["src/index.ts", "contract", "lifetime", "exec", "handshake", "translate", "carry"],
  demo: [...ENTRY_POINTS, "contract", "lifetime", ...ROOMS, "runner", "client"],
};

/** Through which folders a package comes in. */
const VENDORS: Record<string, readonly string[]> = {
  ssh2: ["connect", "demo"],
  "p-queue": ["connect"],
  "@connectrpc/connect": ["dial", "demo"],
  "@connectrpc/connect-node": ["dial", "demo"],
  "@bufbuild/protobuf": ["dial", "demo"],
  commander: ["cli"],
  debug: ["carry", "connect", "exec", "handshake", "translate", "dial", "runner", "client", "cli", "shim", "demo"],
};

/** Folders that may also know a package's types, which vanish when the code is built. */
const TYPES_ONLY: Record<string, readonly string[]> = {
  "@connectrpc/connect": ["client"],
  "@bufbuild/protobuf": ["client"],
};

/** The packages that only users of the second entry point have. */
const OPTIONAL = ["@connectrpc/", "@bufbuild/"];

/** They make a plain error as a value, in the place of one that ssh2 or a server did not give, and never throw it. */
const MAKE_ERRORS = [
  "connect/identity-files.ts",
  "connect/open-connection.ts",
  "connect/ssh-connection.ts",
  "connect/openssh/control-client.ts",
  "connect/openssh/mux-listeners.ts",
  "connect/openssh/mux-proxy.ts",
  "connect/openssh/openssh-connection.ts",
  "connect/openssh/ssh-errors.ts",
];

/** Every TypeScript file of the library: its path from the top, and its text. */
type Sources = ReadonlyMap<string, string>;

interface Import {
  /** A path from the top, or the name of a package with what follows it. */
  readonly of: string;
  readonly isPath: boolean;
  readonly typesOnly: boolean;
}

const library = readSources();

describe("the library", () => {
  test("is there", () => {
    for (const path of ENTRY_POINTS) expect(library.has(path)).toBe(true);
    for (const folder of Object.keys(DOORS)) {
      if (["cli", "shim"].includes(folder)) continue;
      expect([...library.keys()].filter((path) => folderOf(path) === folder).length, folder).toBeGreaterThan(0);
    }
  });

  test("keeps its doors closed", () => expect(brokenDoors(library)).toEqual([]));
  test("lets each package in through its own door", () => expect(brokenVendorDoors(library)).toEqual([]));
  test("has no import cycles", () => expect(cycles(library)).toEqual([]));
  test("needs no optional package for its first entry point, nor to carry a connection", () =>
    expect(optionalPackages(library)).toEqual([]));
  test("says at its entry points what is public, and nothing else", () => expect(ownCode(library)).toEqual([]));
  test("throws no plain errors and knows no `any`", () => expect(forbiddenWords(library)).toEqual([]));
});

describe("the rules catch", () => {
  const caught: [what: string, rule: (sources: Sources) => string[], files: Record<string, string>][] = [
    ["one room in another", brokenDoors, { "src/exec/a.ts": 'import { b } from "../connect/b.ts";' }],
    ["a door from the floor up", brokenDoors, { "src/contract/a.ts": 'import type { B } from "../lifetime/b.ts";' }],
    ["a re-export from another room", brokenDoors, { "src/dial/a.ts": 'export * from "../handshake/b.ts";' }],
    ["an import at run time", brokenDoors, { "src/client/a.ts": 'await import("../runner/b.ts");' }],
    ["an import for its effects", brokenDoors, { "src/client/a.ts": 'import "../runner/b.ts";' }],
    ["a street door that goes past the entry", brokenDoors, { "src/cli/a.ts": 'import "../runner/b.ts";' }],
    ["the demo in the command line", brokenDoors, { "src/demo/a.ts": 'import "../cli/b.ts";' }],
    ["a file in no folder", brokenDoors, { "src/tools/a.ts": "" }],
    ["a file outside of src", brokenDoors, { "src/exec/a.ts": 'import "../../test/b.ts";' }],
    ["ssh2 in the runner", brokenVendorDoors, { "src/runner/a.ts": 'import ssh2 from "ssh2";' }],
    ["its types in the runner", brokenVendorDoors, { "src/runner/a.ts": 'import type { Client } from "ssh2";' }],
    ["part of it in the runner", brokenVendorDoors, { "src/runner/a.ts": 'import "ssh2/lib/client.js";' }],
    ["Connect at run time", brokenVendorDoors, { "src/client/a.ts": 'import { Code } from "@connectrpc/connect";' }],
    ["an unknown package", brokenVendorDoors, { "src/exec/a.ts": 'import "left-pad";' }],
    ["a cycle", cycles, { "src/exec/a.ts": 'import "./b.ts";', "src/exec/b.ts": 'import type { A } from "./a.ts";' }],
    [
      "an optional package",
      optionalPackages,
      { "src/index.ts": 'export * from "./a.ts";', "src/a.ts": 'import type { T } from "@connectrpc/connect";' },
    ],
    ["code at an entry point", ownCode, { "src/index.ts": 'export { a } from "./a.ts";\nexport const b = 1;' }],
    ["a plain error", forbiddenWords, { "src/exec/a.ts": 'throw new Error("oh");' }],
    ["another plain error", forbiddenWords, { "src/exec/a.ts": 'throw new TypeError("oh");' }],
    ["an `any`", forbiddenWords, { "src/exec/a.ts": "const a = b as any;" }],
    ["an `any` in a type", forbiddenWords, { "src/exec/a.ts": "const a: Map<string, any[]> = b;" }],
  ];
  test.each(caught)("%s", (_what, rule, files) => {
    expect(rule(new Map(Object.entries(files)))).toHaveLength(1);
  });

  test("nothing that is only talked about", () => {
    const text =
      '// import "../connect/b.ts"; new Error( as any\n/** `import "ssh2"` */\nconst a = "new Error( as any";';
    const sources = new Map([["src/exec/a.ts", text]]);
    for (const rule of [brokenDoors, brokenVendorDoors, forbiddenWords]) expect(rule(sources)).toEqual([]);
  });
});

function brokenDoors(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    const folder = folderOf(path);
    if (folder === "") return [];
    const open = DOORS[folder];
    if (!open) return [`${path} is in a folder that has no door`];
    return importsOf(path, text)
      .filter(({ isPath }) => isPath)
      .map(({ of }) => of)
      .filter((of) => ![folder, ...open].includes(folderOf(of) || of))
      .map((of) => `${path} imports ${of}`);
  });
}

function brokenVendorDoors(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    return importsOf(path, text)
      .filter(({ of, isPath }) => !isPath && !of.startsWith("node:"))
      .filter(({ of, typesOnly }) => {
        const name = packageOf(of);
        const open = [...(VENDORS[name] ?? []), ...(typesOnly ? (TYPES_ONLY[name] ?? []) : [])];
        return !open.includes(folderOf(path));
      })
      .map(({ of, typesOnly }) => `${path} imports ${typesOnly ? "types of " : ""}${of}`);
  });
}

function cycles(sources: Sources): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, way: readonly string[]) => {
    const at = way.indexOf(path);
    if (at !== -1) return void found.push([...way.slice(at), path].join(" → "));
    if (done.has(path)) return;
    for (const { of, isPath } of importsOf(path, sources.get(path) ?? "")) if (isPath) visit(of, [...way, path]);
    done.add(path);
  };
  for (const path of sources.keys()) visit(path, []);
  return found;
}

function optionalPackages(sources: Sources): string[] {
  const reached = new Set(["src/index.ts", ...[...sources.keys()].filter((path) => folderOf(path) === "carry")]);
  const found: string[] = [];
  for (const path of reached) {
    for (const { of } of importsOf(path, sources.get(path) ?? "")) {
      if (OPTIONAL.some((scope) => of.startsWith(scope))) found.push(`${path} imports ${of}`);
      else if (sources.has(of)) reached.add(of);
    }
  }
  return found;
}

function ownCode(sources: Sources): string[] {
  return ENTRY_POINTS.flatMap((path) => {
    const rest = withoutComments(sources.get(path) ?? "").replace(/export (type )?\{[^}]*\} from "\.[^"]*";/g, "");
    return rest.replace(/export \* from "\.[^"]*";/g, "").trim() === "" ? [] : [`${path}: ${rest.trim()}`];
  });
}

function forbiddenWords(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    const code = withoutComments(text).replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
    const errors = MAKE_ERRORS.includes(relative("src", path))
      ? []
      : (code.match(/new (Type|Range|Syntax|Aggregate)?Error\(.*/g) ?? []);
    const types = code.match(/.*(?:[:<|&,=(]|\bas|\bextends)\s*any\b.*/g) ?? [];
    return [...errors, ...types].map((line) => `${path}: ${line.trim()}`);
  });
}

/** Everything that a file imports or exports again, also what it loads later. */
function importsOf(path: string, text: string): Import[] {
  const code = withoutComments(text);
  const statements = code.matchAll(/^\s*(import|export)\s(?:([^;"]*?)\sfrom\s)?"([^"]+)"/gm);
  const later = code.matchAll(/\bimport\("([^"]+)"\)/g);
  const from = (of: string) => {
    const isPath = of.startsWith(".");
    return { of: isPath ? relative(TOP, resolve(TOP, dirname(path), of)) : of, isPath };
  };
  return [
    ...[...statements].map(([, , names = "", of = ""]) => ({ ...from(of), typesOnly: areTypes(names) })),
    ...[...later].map(([, of = ""]) => ({ ...from(of), typesOnly: false })),
  ];
}

/** Whether an import or export statement, given without its first word, names types only. */
function areTypes(names: string): boolean {
  if (/^type\s/.test(names)) return true;
  const [, list] = /^\{([^}]*)\}$/.exec(names.trim()) ?? [];
  const each = (list ?? "").split(",").filter((name) => name.trim() !== "");
  return each.length > 0 && each.every((name) => /^\s*type\s/.test(name));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

/** `exec` for `src/exec/quote.ts`; empty for a file in src itself. */
function folderOf(path: string): string {
  return /^src\/([^/]+)\/./.exec(path)?.[1] ?? "";
}

function packageOf(of: string): string {
  return of.split("/", of.startsWith("@") ? 2 : 1).join("/");
}

function readSources(): Sources {
  const files = readdirSync(join(TOP, "src"), { recursive: true, encoding: "utf8" });
  const paths = files.filter((name) => name.endsWith(".ts")).map((name) => join("src", name));
  return new Map(paths.filter((path) => existsSync(path)).map((path) => [path, readFileSync(join(TOP, path), "utf8")]));
}
