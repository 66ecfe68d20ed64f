import { describe, expect, test } from "vitest";
import { expandTokens } from "../../../src/connect/way/expand-tokens.ts";
import { parseHops } from "../../../src/connect/way/parse-hops.ts";
import { failureOf } from "../failure-of.ts";

describe("parseHops", () => {
  test.each([
    ["a", [{ host: "a" }]],
    ["ann@a:23,b", [{ host: "a", user: "ann", port: 23 }, { host: "b" }]],
    ["ssh://ann@a:23", [{ host: "a", user: "ann", port: 23 }]],
    ["ssh://a%40b@a", [{ host: "a", user: "a@b" }]],
    ["a%40b@a", [{ host: "a", user: "a%40b" }]],
    ["ann@corp@a", [{ host: "a", user: "ann@corp" }]],
    ["[::1]:23,[fe80::1]", [{ host: "::1", port: 23 }, { host: "fe80::1" }]],
  ])("reads %s", (text, hops) => expect(parseHops(text)).toEqual(hops));

  test.each(["", "a,", ",a", "a:0", "a:65536", "a:x", "@a", "-a", "::1", "a b", "http://a", "ssh://%@a", "ann@-a"])(
    "refuses %j",
    (text) => {
      expect(failureOf(() => parseHops(text))).toMatchObject({ code: "config-error" });
    },
  );

  test("does not repeat a password", () => {
    const failure = failureOf(() => parseHops("a,ssh://ann:sesame@b"));
    expect(failure).toMatchObject({ code: "config-error" });
    expect(failure.message).not.toContain("sesame");
  });
});

describe("expandTokens", () => {
  const values = { host: "10.0.0.1", alias: "box", port: 23, user: "DOM\\ann" };

  test("puts in what the tokens stand for", () => {
    expect(expandTokens("proxyCommand", "%h|%n|%p|%r|%%h", values)).toBe("10.0.0.1|box|23|DOM\\ann|%h");
  });

  test.each(["%", "a %", "%q", "%C", "%\u{1f600}"])("refuses %j", (text) => {
    expect(failureOf(() => expandTokens("proxyCommand", text, values))).toMatchObject({ code: "config-error" });
  });

  test.each(["$(x)", "a b", "a;b", "`x`", "a'b", "a\\b"])("does not put in a host named %s", (host) => {
    expect(failureOf(() => expandTokens("proxyCommand", "%h", { ...values, host }))).toMatchObject({
      code: "config-error",
    });
  });
});
