import type { ShimSettings } from "../settings.ts";

/** The line by which a file is known to be ours. */
const MARK = "// A shim of go-plugin-ssh";

/** What is written into an installed shim. */
export interface ScriptParts {
  /** The Node that runs it, an absolute path. */
  node: string;
  /** The module that it loads, as a file URL. */
  module: string;
  /** The release that wrote it. */
  release: string;
  /** What to type in order to write it again. */
  again: string;
  settings: ShimSettings;
}

/**
 * The text of an installed shim. No shell is in it, so that the environment keeps its order and a start costs no further
 * process, and it is right as CommonJS and as a module, whichever Node takes it for: no name in it is one of CommonJS's own.
 */
export function shimScript({ node, module, release, again, settings }: ScriptParts): string {
  return `#!${node}
${MARK} ${release}: a program that uses plugins starts it in the place of a plugin, which runs on another machine.
// It was written by: ${oneLine(again)}
const settings = ${JSON.stringify(settings, null, 2)};
const shimModule = ${JSON.stringify(module)};
const again = ${JSON.stringify(again)};
import(shimModule).then(
  ({ runShim }) => runShim(settings, process.argv.slice(2), again),
  (failure) => {
    const message = \`go-plugin-ssh could not be loaded from \${shimModule}. If it was moved or removed, install it again, and then this shim: \${again}\`;
    const time = new Date().toISOString().replace("Z", "000Z");
    const line = { "@level": "error", "@message": message, "@module": "go-plugin-ssh.shim", "@timestamp": time };
    process.stderr.write(\`\${JSON.stringify({ ...line, error: String(failure) })}\\n\`);
    process.exitCode = 78;
  },
);
`;
}

/** Whether a file's text begins as ours do. */
export function isShimScript(text: string): boolean {
  return text.startsWith("#!") && (text.split("\n", 2)[1] ?? "").startsWith(MARK);
}

function oneLine(text: string): string {
  return text.replace(/[\r\n\u2028\u2029]+/g, " ");
}
