import { expect, test } from "vitest";
import { asPluginExit, describeExit } from "../../src/exec/exit-status.ts";

test.each([
  [0, { code: 0, signal: null }],
  [1, { code: 1, signal: null }],
  [127, { code: 127, signal: null }],
  [128, { code: 128, signal: null }],
  [129, { code: null, signal: "SIGHUP" }],
  [130, { code: null, signal: "SIGINT" }],
  [134, { code: null, signal: "SIGABRT" }],
  [137, { code: null, signal: "SIGKILL" }],
  [139, { code: null, signal: "SIGSEGV" }],
  [143, { code: null, signal: "SIGTERM" }],
  [200, { code: 200, signal: null }],
  [255, { code: 255, signal: null }],
])("the supervisor's exit code %i says of the plugin: %j", (code, exit) => {
  expect(asPluginExit({ code, signal: null })).toEqual(exit);
});

test("a signal that the server has reported stays", () => {
  expect(asPluginExit({ code: null, signal: "SIGKILL" })).toEqual({ code: null, signal: "SIGKILL" });
});

test("an end in words", () => {
  expect(describeExit({ code: 3, signal: null })).toBe("exit code 3");
  expect(describeExit({ code: 0, signal: null })).toBe("exit code 0");
  expect(describeExit({ code: null, signal: "SIGKILL" })).toBe("signal SIGKILL");
});
