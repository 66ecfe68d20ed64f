import { describe, expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { buildEnvironment, checkPatterns, variablesToScrub } from "../../src/exec/environment.ts";

function build(environment: Record<string, string>, forwardEnvironment: string[] = [], hostEnvironment = {}) {
  return buildEnvironment({ environment, forwardEnvironment, hostEnvironment });
}

function failureOf(task: () => unknown): PluginError {
  try {
    task();
  } catch (failure) {
    if (failure instanceof PluginError) return failure;
  }
  throw new TypeError("It did not fail, or not as it should.");
}

const HOST = {
  AWS_REGION: "eu-north-1",
  AWS_PROFILE: "work",
  AWS: "no",
  TF_LOG: "debug",
  TF_LOG_: "x",
  PATH: "/bin",
  NOTHING: undefined,
  "ProgramFiles(x86)": "C:\\",
  PLUGIN_CLIENT_CERT: "another plugin's",
  PLUGIN_OWN: "x",
  gps_mark: "x",
  IFS: ",",
  PWD: "/here",
  _: "/usr/bin/node",
};

describe("buildEnvironment", () => {
  test("takes nothing of the host's by itself", () => {
    expect(build({ A: "1", b_2: "" }, [], HOST)).toEqual({ A: "1", b_2: "" });
  });

  test.each([
    [["AWS_*"], ["AWS_REGION", "AWS_PROFILE"]],
    [["AWS*"], ["AWS_REGION", "AWS_PROFILE", "AWS"]],
    [["TF_LOG?"], ["TF_LOG_"]],
    [
      ["TF_LOG", "PATH", "MISSING"],
      ["TF_LOG", "PATH"],
    ],
    [["*_LOG"], ["TF_LOG"]],
    [["A?S"], ["AWS"]],
    [["NOTHING"], []],
    [["PLUGIN_*", "gps_*", "IFS", "PWD", "_"], []],
    [["*"], ["AWS_REGION", "AWS_PROFILE", "AWS", "TF_LOG", "TF_LOG_", "PATH"]],
  ])("the patterns %j choose %j", (patterns, names) => {
    expect(Object.keys(build({}, patterns, HOST))).toEqual(names);
  });

  test("puts what the caller named over what a pattern chose", () => {
    expect(build({ TF_LOG: "trace" }, ["TF_*"], HOST)).toEqual({ TF_LOG: "trace", TF_LOG_: "x" });
  });

  test("sends the host's own go-plugin variables where they are named, for they are for this plugin", () => {
    expect(build({ PLUGIN_CLIENT_CERT: "ours" }, [], HOST)).toEqual({ PLUGIN_CLIENT_CERT: "ours" });
  });

  test("leaves the two paths to the box", () => {
    expect(build({ TMPDIR: "/host", PLUGIN_UNIX_SOCKET_DIR: "/host", X: "x" }, ["TMP*"], { TMPDIR: "/h" })).toEqual({
      X: "x",
    });
  });

  test("keeps a name that means something to JavaScript", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty", "toString"];
    const environment = Object.fromEntries(names.map((name) => [name, "x"]));
    expect(Object.entries(build(environment))).toEqual(names.map((name) => [name, "x"]));
    expect(Object.keys(build({}, ["*"], environment))).toEqual(names);
  });

  test.each(["", "1A", "A-B", "A B", "A=B", "é", "A\n", "A\0", "$(id)"])("refuses the name %j", (name) => {
    const failure = failureOf(() => build({ [name]: "secret" }));
    expect(failure.code).toBe("bad-options");
    expect(failure.message).toContain(JSON.stringify(name));
    expect(failure.message).not.toContain("secret");
  });

  test.each(["IFS", "PWD", "_", "UID", "BASH_COMMAND", "PIPESTATUS", "gps_mark", "gps_"])(
    "refuses %s, which belongs to the shell",
    (name) => {
      const failure = failureOf(() => build({ [name]: "secret" }));
      expect(failure).toMatchObject({ code: "bad-options", message: expect.stringContaining(name) });
      expect(failure.message).not.toContain("secret");
    },
  );

  test.each(["secret\0", "secret\ud800"])("refuses the value %j without showing it", (value) => {
    const failure = failureOf(() => build({ TOKEN: value }));
    expect(failure).toMatchObject({ code: "bad-options", message: expect.stringContaining("TOKEN") });
    expect(failure.message).not.toContain("secret");
  });

  test("refuses a value that is no string", () => {
    const environment = JSON.parse('{ "PORT": 8080 }');
    expect(failureOf(() => build(environment))).toMatchObject({
      code: "bad-options",
      message: expect.stringContaining("must be a string, not number"),
    });
  });
});

describe("checkPatterns", () => {
  test("accepts names and wildcards", () => {
    checkPatterns(["AWS_*", "?", "TF_LOG", "*", "_x9"]);
  });

  test.each(["", "A=B", "A B", "A-*", "A.B", "[AB]", "A\n"])("refuses %j", (pattern) => {
    expect(failureOf(() => checkPatterns(["OK", pattern]))).toMatchObject({ code: "bad-options" });
  });
});

describe("variablesToScrub", () => {
  test("names what another plugin's host would have set, but for what is sent and what the supervisor sets", () => {
    const names = [
      "PLUGIN_MIN_PORT",
      "PLUGIN_MAX_PORT",
      "PLUGIN_PROTOCOL_VERSIONS",
      "PLUGIN_MULTIPLEX_GRPC",
      "PLUGIN_CLIENT_CERT",
      "PLUGIN_UNIX_SOCKET_GROUP",
    ];
    expect(variablesToScrub({})).toEqual(names);
    expect(variablesToScrub({ PLUGIN_MIN_PORT: "1", PLUGIN_CLIENT_CERT: "", OTHER: "x" })).toEqual([
      "PLUGIN_MAX_PORT",
      "PLUGIN_PROTOCOL_VERSIONS",
      "PLUGIN_MULTIPLEX_GRPC",
      "PLUGIN_UNIX_SOCKET_GROUP",
    ]);
  });
});
