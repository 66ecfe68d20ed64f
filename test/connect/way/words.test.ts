import { describe, expect, test } from "vitest";
import { readJump } from "../../../src/connect/config/read-jump.ts";
import { expandProxyTokens } from "../../../src/connect/way/expand-proxy-tokens.ts";
import { parseHops } from "../../../src/connect/way/parse-hops.ts";
import { failureOf } from "../failure-of.ts";

describe("parseHops", () => {
  test.each([
    ["a", [{ host: "a" }]],
    ["ann@a:23,b", [{ host: "a", user: "ann", port: 23 }, { host: "b" }]],
    ["ssh://ann@a:23", [{ host: "a", user: "ann", port: 23 }]],
    ["ssh://ann@a/", [{ host: "a", user: "ann" }]],
    ["ssh://a%40b@a", [{ host: "a", user: "a@b" }]],
    ["a%40b@a", [{ host: "a", user: "a%40b" }]],
    ["ann@corp@a", [{ host: "a", user: "ann@corp" }]],
    ["[::1]:23,[fe80::1]", [{ host: "::1", port: 23 }, { host: "fe80::1" }]],
  ])("reads %s", (text, hops) => expect(parseHops(text)).toEqual(hops));

  test.each([
    "",
    "a,",
    "a/",
    ",a",
    "a:0",
    "a:65536",
    "a:x",
    "@a",
    "-a",
    "::1",
    "a b",
    "http://a",
    "ssh://%@a",
    "ann@-a",
  ])("refuses %j", (text) => {
    expect(failureOf(() => parseHops(text))).toMatchObject({ code: "config-error" });
  });

  test("does not repeat a password", () => {
    const failure = failureOf(() => parseHops("a,ssh://ann:sesame@b"));
    expect(failure).toMatchObject({ code: "config-error" });
    expect(failure.message).not.toContain("sesame");
  });
});

describe("readJump", () => {
  test.each([
    ["NONE", "none"],
    ["ann@a:23,ssh://b:24/", "ann@a:23,b:24"],
    ["ssh://a%40b@c", "a@b@c"],
    ["a%40b@c", "a%40b@c"],
    ["[::1]:23", "[::1]:23"],
    ["a,,b", undefined],
  ])("tells %s as `ssh -G` does", (text, told) => expect(readJump(text)).toBe(told));
});

describe("expandProxyTokens", () => {
  const values = { host: "10.0.0.1", alias: "box", port: 23, user: "DOM\\ann" };

  test("puts in what the tokens stand for", () => {
    expect(expandProxyTokens("proxyCommand", "%h|%n|%p|%r|%%h", values)).toBe("10.0.0.1|box|23|DOM\\ann|%h");
  });

  test.each(["%", "a %", "%q", "%C", "%\u{1f600}"])("refuses %j", (text) => {
    expect(failureOf(() => expandProxyTokens("proxyCommand", text, values))).toMatchObject({ code: "config-error" });
  });

  test.each(["$(x)", "a b", "a;b", "`x`", "a'b", "a\\b"])("does not put in a host named %s", (host) => {
    expect(failureOf(() => expandProxyTokens("proxyCommand", "%h", { ...values, host }))).toMatchObject({
      code: "config-error",
    });
  });
});
