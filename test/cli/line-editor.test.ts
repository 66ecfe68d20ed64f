import { expect, test } from "vitest";
import { LineEditor } from "../../src/cli/line-editor.ts";

test.each<[what: string, keys: string, state: object, shown: string]>([
  ["a line", "yes\r", { is: "done", line: "yes" }, "yes"],
  ["a line that ends otherwise", "yes\nno", { is: "done", line: "yes" }, "yes"],
  ["an empty line", "\r", { is: "done", line: "" }, ""],
  ["nothing yet", "ye", { is: "typing" }, "ye"],
  ["a mended line", "nop\u007f\be\r", { is: "done", line: "ne" }, "nop\b \b\b \be"],
  ["a line begun anew", "nope\u0015yes\r", { is: "done", line: "yes" }, `nope${"\b \b".repeat(4)}yes`],
  ["more erased than there is", "\u007f\u007fa\r", { is: "done", line: "a" }, "a"],
  ["characters of many bytes, erased as one", "ü🔑\u007f\r", { is: "done", line: "ü" }, "ü🔑\b \b"],
  ["control characters", "\u001b[A\u0000\ta\r", { is: "done", line: "[Aa" }, "[Aa"],
  ["Control-D at once", "\u0004", { is: "given-up" }, ""],
  ["Control-D after something", "a\u0004b\r", { is: "done", line: "ab" }, "ab"],
  ["Control-C", "half\u0003", { is: "interrupted" }, "half"],
])("%s", (_what, keys, state, shown) => {
  let terminal = "";
  const editor = new LineEditor((text) => {
    terminal += text;
  });
  expect(editor.press(keys)).toEqual(state);
  expect(terminal).toBe(shown);
});
