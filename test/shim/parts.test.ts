import { execFileSync } from "node:child_process";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { readLogTime } from "../../src/client/log/log-time.ts";
import { createCertificate } from "../../src/handshake/certificates.ts";
import { chooseCarry } from "../../src/shim/choose-carry.ts";
import { findCookie, isStartedByHost } from "../../src/shim/cookie.ts";
import { exitCodeOf } from "../../src/shim/exit-codes.ts";
import { readContract } from "../../src/shim/forwarded-environment.ts";
import { HandshakeFields } from "../../src/shim/handshake-fields.ts";
import { hclogLine } from "../../src/shim/hclog.ts";
import { HostStderr } from "../../src/shim/host-stderr.ts";
import { eventually } from "../tools/eventually.ts";

const FOLLOWERS = { PLUGIN_MIN_PORT: "10000", PLUGIN_MAX_PORT: "25000", PLUGIN_PROTOCOL_VERSIONS: "1" };

describe("the cookie", () => {
  test("stands right before PLUGIN_MIN_PORT, whatever its name", () => {
    const environment = { HOME: "/", TF_PLUGIN_MAGIC_COOKIE: "inherited", Odd_Name: "v", ...FOLLOWERS, PATH: "/bin" };
    expect(findCookie(environment)).toEqual({ name: "Odd_Name", value: "v" });
  });

  test("is found in the block that the kernel was given, by Node", () => {
    const script = "console.log(JSON.stringify(Object.keys(process.env)))";
    const env = { ZED: "1", Odd_Name: "v", ...FOLLOWERS, ALPHA: "2" };
    const names: string[] = JSON.parse(execFileSync(process.execPath, ["-e", script], { env, encoding: "utf8" }));
    expect(names.slice(0, 6)).toEqual(Object.keys(env));
  });

  test.each([
    ["bash", "bash", ["-c"]],
    ["dash", "dash", ["-c"]],
  ])("of a known host is found behind %s, which changes the order", (_name, shell, flags) => {
    const env = { TF_PLUGIN_MAGIC_COOKIE: "d602", ...FOLLOWERS, ZED: "1", ALPHA: "2" };
    const script = `${process.execPath} -e 'console.log(JSON.stringify(process.env))'`;
    const environment = JSON.parse(
      execFileSync(shell, [...flags, script], { env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
    );
    expect(findCookie(environment)).toEqual({ name: "TF_PLUGIN_MAGIC_COOKIE", value: "d602" });
  });

  test("is refused where it cannot be told", () => {
    const shuffled = {
      ALPHA: "1",
      PLUGIN_MIN_PORT: "1",
      ZED: "2",
      PLUGIN_MAX_PORT: "2",
      PLUGIN_PROTOCOL_VERSIONS: "1",
    };
    expect(() => findCookie(shuffled)).toThrow(/--cookie NAME/);
    const both = { ...shuffled, TF_PLUGIN_MAGIC_COOKIE: "a", NOMAD_PLUGIN_MAGIC_COOKIE: "b" };
    expect(() => findCookie(both)).toThrow(/TF_PLUGIN_MAGIC_COOKIE and NOMAD_PLUGIN_MAGIC_COOKIE/);
    expect(() => findCookie({ ...FOLLOWERS })).toThrow(/--cookie NAME/);
    expect(findCookie(shuffled, "ZED")).toEqual({ name: "ZED", value: "2" });
    expect(() => findCookie({ ...shuffled, EMPTY: "" }, "EMPTY")).toThrow(/or it is empty/);
  });

  test("is missed by who starts it by hand", () => {
    expect(isStartedByHost({ PATH: "/bin" })).toBe(false);
    expect(isStartedByHost(FOLLOWERS)).toBe(true);
  });
});

describe("the way across", () => {
  const pem = createCertificate().certificatePem;
  const chosen = async (mode: "auto" | "pass" | "terminate", cookie: string, more: Record<string, string> = {}) => {
    const contract = readContract({ [cookie]: "v", ...FOLLOWERS, ...more }, { name: cookie, value: "v" }, []);
    return chooseCarry(mode, contract, "unix");
  };

  test.each([
    ["TF_PLUGIN_MAGIC_COOKIE", {}, "pass"],
    ["NOMAD_PLUGIN_MAGIC_COOKIE", {}, "pass"],
    ["TFLINT_RULESET_PLUGIN", {}, "terminate"],
    ["ANY", {}, "terminate"],
    ["ANY", { PLUGIN_MULTIPLEX_GRPC: "true" }, "pass"],
  ] as const)("%s %j: %s", async (cookie, more, name) => {
    expect((await chosen("auto", cookie, more)).name).toBe(name);
  });

  test("is what the user says, if they say", async () => {
    expect((await chosen("pass", "ANY")).name).toBe("pass");
    expect((await chosen("terminate", "TF_PLUGIN_MAGIC_COOKIE")).name).toBe("terminate");
  });

  test("tells the plugin to expect the host, or us", async () => {
    const more = { PLUGIN_CLIENT_CERT: pem };
    expect((await chosen("pass", "ANY", more)).variables.PLUGIN_CLIENT_CERT).toBe(pem);
    const ours = (await chosen("terminate", "ANY", more)).variables.PLUGIN_CLIENT_CERT;
    expect(ours).toMatch(/BEGIN CERTIFICATE/);
    expect(ours).not.toBe(pem);
    expect((await chosen("terminate", "ANY")).variables.PLUGIN_CLIENT_CERT).toBeUndefined();
  });
});

describe("the line", () => {
  test.each([
    ["1|5|unix|/tmp/x|grpc|", "1|5|unix|/here|grpc|"],
    ["1|5|unix|/tmp/x", "1|5|unix|/here"],
    ["1|5|tcp|:1234|grpc|CERT|true", "1|5|unix|/here|grpc|CERT|true"],
    ["  1|odd|unix|/tmp/x|odd|old data|odd|more \r", "1|odd|unix|/here|odd|old data|odd|more"],
  ])("%j keeps all but the address", (line, rewritten) => {
    expect(new HandshakeFields(line).rewritten({ network: "unix", path: "/here" })).toBe(rewritten);
  });

  test("gets another certificate where one is given", () => {
    const fields = new HandshakeFields("1|5|unix|/tmp/x|grpc|CERT|true");
    expect(fields.rewritten({ network: "tcp", host: "127.0.0.1", port: 1 }, "OURS")).toBe(
      "1|5|tcp|127.0.0.1:1|grpc|OURS|true",
    );
  });

  test("says net/rpc by saying nothing", () => {
    expect(new HandshakeFields("1|5|unix|/tmp/x").protocol).toBe("netrpc");
  });

  test.each(["", "hello", "1|2|unix"])("%j is none", (line) => {
    expect(() => new HandshakeFields(line)).toThrow(/Unrecognized remote plugin message/);
  });

  test("tells a number and a certificate, or what is wrong with them", () => {
    const { der } = createCertificate({ curve: "P-256" });
    const line = new HandshakeFields(`1|5|unix|/tmp/x|grpc|${der.toString("base64").replace(/=+$/, "")}`);
    expect([line.appVersionNumber, line.certificate]).toEqual([5, der]);
    const odd = new HandshakeFields(`1|five|unix|/tmp/x|grpc|${"A".repeat(60)}`);
    expect(() => odd.appVersionNumber).toThrow(/handshake-failed.*"five"/);
    expect(() => odd.certificate).toThrow(/handshake-failed/);
    expect(new HandshakeFields("1|5|unix|/tmp/x|grpc|old data").certificate).toBeUndefined();
  });

  test("with an address that is none is refused", () => {
    expect(() => new HandshakeFields("1|5|pipe|x|grpc|")).toThrow(/unknown address type/);
  });
});

describe("a line of the shim's own", () => {
  test("is hclog's, down to the time", () => {
    const at = new Date("2026-02-03T04:05:06.789Z");
    const line = hclogLine("warn", "two\nlines", { names: ["A"], ms: 3 }, at);
    expect(line).toMatch(/^[^\n]*\n$/);
    const entry = JSON.parse(line);
    expect(entry).toMatchObject({ "@level": "warn", "@message": "two\nlines", names: ["A"], ms: 3 });
    // Go's host takes it for a time.
    expect(new Date(readLogTime(entry["@timestamp"]) ?? "")).toEqual(at);
  });
});

describe("stderr", () => {
  test("takes our lines in the middle of one of the plugin's, when that stands still at the end", async () => {
    let text = "";
    const out = new PassThrough().on("data", (chunk: Buffer) => {
      text += chunk;
    });
    const stderr = new HostStderr(out, () => {});
    const plugin = new PassThrough();
    stderr.carry(plugin);
    plugin.write("Password: ");
    await eventually(() => text !== "", { what: "the plugin's words" });
    stderr.log("error", "why");
    expect(text).toBe("Password: ");
    await stderr.finish(1);
    expect(text).toMatch(/^Password: \n\{.*"why".*\}\n$/);
    plugin.destroy();
  });
});

describe("an exit code", () => {
  test("is a shell's", () => {
    expect(exitCodeOf({ code: 3, signal: null })).toBe(3);
    expect(exitCodeOf({ code: null, signal: "SIGKILL" })).toBe(137);
    expect(exitCodeOf({ code: null, signal: "TERM" })).toBe(143);
    expect(exitCodeOf({ code: null, signal: null })).toBe(1);
  });
});
