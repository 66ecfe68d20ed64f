import { userInfo } from "node:os";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { type Destination, describeTarget, parseDestination } from "../../src/connect/destination.ts";
import { failureOf } from "./failure-of.ts";

const me = userInfo().username;

describe("accepted", () => {
  const cases: [given: Destination, target: string][] = [
    ["box", `${me}@box:22`],
    ["box.example.com", `${me}@box.example.com:22`],
    ["box.example.com.", `${me}@box.example.com.:22`],
    ["bücher.example", `${me}@bücher.example:22`],
    ["_build_box", `${me}@_build_box:22`],
    ["192.0.2.7", `${me}@192.0.2.7:22`],
    ["2001:db8::7", `${me}@[2001:db8::7]:22`],
    ["[2001:db8::7]", `${me}@[2001:db8::7]:22`],
    ["fe80::1%eth0", `${me}@[fe80::1%eth0]:22`],
    ["ann@box", "ann@box:22"],
    ["ann@[2001:db8::7]", "ann@[2001:db8::7]:22"],
    ["ann@corp.example@box", "ann@corp.example@box:22"],
    ["CORP\\ann@box", "CORP\\ann@box:22"],
    ["ssh://box", `${me}@box:22`],
    ["SSH://box/", `${me}@box:22`],
    ["ssh://ann@box", "ann@box:22"],
    ["ssh://ann@box:2222", "ann@box:2222"],
    ["ssh://ann@box:2222/", "ann@box:2222"],
    ["ssh://box:65535", `${me}@box:65535`],
    ["ssh://ann@[2001:db8::7]:2222", "ann@[2001:db8::7]:2222"],
    ["ssh://[::1]", `${me}@[::1]:22`],
    ["ssh://ann%40corp.example@box", "ann@corp.example@box:22"],
    ["ssh://an%6E@box", "ann@box:22"],
    ["ssh://b%C3%BCch@box", "büch@box:22"],
    [{ host: "box" }, `${me}@box:22`],
    [{ host: "box", port: 2222, user: "ann" }, "ann@box:2222"],
    [{ host: "::1", port: 1 }, `${me}@[::1]:1`],
  ];
  test.each(cases)("%j", (given, target) => {
    expect(describeTarget(parseDestination(given))).toBe(target);
  });
});

describe("refused", () => {
  const cases: [given: unknown, says: RegExp][] = [
    ["", /"" is not a host name/],
    [" box", /is not a host name/],
    ["bo x", /is not a host name/],
    ["box\0", /is not a host name/],
    ["box\u001b[2J", /is not a host name/],
    ["-oProxyCommand=x", /is not a host name/],
    ["ann@-box", /is not a host name/],
    ["@box", /is not a user name/],
    ["-l@box", /is not a user name/],
    ["an\tn@box", /is not a user name/],
    ["ann@", /is not a host name/],
    ["box:22", /A port needs the form/],
    ["ann@box:22", /A port needs the form/],
    ["ann@box:", /A port needs the form/],
    ["[::1]:22", /A port needs the form/],
    ["box:ssh", /is not a host name/],
    ["[box]", /is not a host name/],
    ["[::1", /is not a host name/],
    ["box/path", /is not a host name/],
    ["http://box", /Only ssh:\/\/ is a known scheme, not http:/],
    ["ssh://", /is not a host name/],
    ["ssh:///path", /nothing else/],
    ["ssh://@box", /is not a user name/],
    ["ssh://-box", /is not a host name/],
    ["ssh://box:0", /0 is not a port/],
    ["ssh://box:65536", /65536 is not a port/],
    ["ssh://box:99999999999999999999", /is not a port/],
    ["ssh://box:", /nothing else/],
    ["ssh://box:ssh", /nothing else/],
    ["ssh://box:-1", /nothing else/],
    ["ssh://box/path", /nothing else/],
    ["ssh://box?query", /nothing else/],
    ["ssh://box/?query", /nothing else/],
    ["ssh://box#fragment", /nothing else/],
    ["ssh://ann%@box", /is not a user name/],
    ["ssh://%2Dl@box", /is not a user name/],
    ["ssh://an%00n@box", /is not a user name/],
    ["ssh://[box]", /is not a host name/],
    ["ssh://[::1", /nothing else/],
    // What comes first ends the host: this is no login to `evil`.
    ["ssh://box/a@evil", /nothing else/],
    ["ssh://box?a@evil", /nothing else/],
    ["ssh://box#a@evil", /nothing else/],
    [{ host: "box", port: 0 }, /0 is not a port/],
    [{ host: "box", port: 65_536 }, /65536 is not a port/],
    [{ host: "box", port: 22.5 }, /22.5 is not a port/],
    [{ host: "box", port: Number.NaN }, /NaN is not a port/],
    [{ host: "box", port: "22" }, /"22" is not a port/],
    [{ host: "box", port: null }, /is not a port/],
    [{ host: "box:22" }, /is not a host name/],
    [{ host: "[::1]" }, /is not a host name/],
    [{ host: "-box" }, /is not a host name/],
    [{ host: 7 }, /7 is not a host name/],
    [{}, /undefined is not a host name/],
    [{ host: "box", user: "" }, /is not a user name/],
    [{ host: "box", user: "-l" }, /is not a user name/],
    [{ host: "box", user: 7 }, /7 is not a user name/],
    [{ host: "box", username: "ann" }, /has no "username"/],
    [null, /must be a string or an object/],
    [undefined, /must be a string or an object/],
    [7, /must be a string or an object/],
  ];
  test.each(cases)("%j", (given, says) => {
    const failure = failureOf(() => parseDestination(given as Destination));
    expect(failure.code).toBe("bad-options");
    expect(failure.message).toMatch(says);
  });
});

describe("a password is refused and not repeated", () => {
  const cases: unknown[] = [
    "ssh://ann:xyzzy@box",
    "ssh://ann:xyzzy@box:22",
    "ssh://ann:xyzzy@box/path",
    "ssh://:xyzzy@box",
    "ssh://ann%3Axyzzy@box",
    "ssh://ann:xy@zzy@box",
    "ssh://ann:xyzzy/x@box",
    "ssh://ann:xyzzy?x@box",
    "ssh://ann:xyzzy#x@box",
    "http://ann:xyzzy@box",
    "ann:xyzzy@box",
    "ann:xyzzy@[::1]",
    { host: "box", user: "ann:xyzzy" },
    { host: "ann:xyzzy@box" },
    { host: "box", password: "xyzzy" },
    { host: "box", user: { password: "xyzzy" } },
  ];
  test.each(cases)("%j", (given) => {
    const failure = failureOf(() => parseDestination(given as Destination));
    expect(failure.code).toBe("bad-options");
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toMatch(/xyz|zzy|@zzy/);
  });
});
