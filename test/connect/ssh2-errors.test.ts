import { describe, expect, test } from "vitest";
import {
  connectionError,
  connectTimeout,
  execError,
  listenError,
  type Phase,
  streamError,
  type VendorError,
} from "../../src/connect/ssh2-errors.ts";
import type { Address } from "../../src/contract/address.ts";

const target = { host: "box", port: 22, user: "ann" };
const tcp: Address = { network: "tcp", host: "127.0.0.1", port: 7 };
const unix: Address = { network: "unix", path: "/tmp/s" };

/** A failure as ssh2 and Node make them. */
const failure = (message: string, more: Partial<VendorError> = {}): VendorError =>
  Object.assign(new Error(message), more);

const CONNECTING: [Phase, VendorError, code: string, says: RegExp][] = [
  ["dialling", failure("getaddrinfo ENOTFOUND box", { code: "ENOTFOUND" }), "connect-failed", /check its spelling/],
  ["dialling", failure("getaddrinfo EAI_AGAIN box", { code: "EAI_AGAIN" }), "connect-failed", /name server/],
  ["dialling", failure("connect ECONNREFUSED", { code: "ECONNREFUSED" }), "connect-failed", /Nothing listens there/],
  ["dialling", failure("connect EHOSTUNREACH", { code: "EHOSTUNREACH" }), "connect-failed", /no route/],
  ["dialling", failure("connect ETIMEDOUT", { code: "ETIMEDOUT" }), "connect-failed", /firewall/],
  ["dialling", failure("connect EADDRNOTAVAIL", { code: "EADDRNOTAVAIL" }), "connect-failed", /EADDRNOTAVAIL\.$/],
  ["dialling", failure("connect ECONNRESET", { code: "ECONNRESET" }), "box-refused", /MaxStartups/],
  ["banner", failure("read ECONNRESET", { code: "ECONNRESET", level: "client-socket" }), "box-refused", /MaxStartups/],
  ["banner", failure("Connection lost before handshake", { level: "protocol" }), "box-refused", /PerSourcePenalties/],
  ["banner", failure("Header line too long"), "connect-failed", /does not speak SSH: Header line too long/],
  ["key exchange", failure("no matching C->S cipher", { level: "handshake" }), "connect-failed", /update the server/],
  ["key exchange", failure("read ECONNRESET", { code: "ECONNRESET" }), "connect-failed", /ended during key exchange/],
  ["authentication", failure("read ECONNRESET", { code: "ECONNRESET" }), "connect-failed", /during authentication/],
  ["ready", failure("read ECONNRESET", { code: "ECONNRESET" }), "connection-lost", /broke: read ECONNRESET\.$/],
  ["ready", failure("Keepalive timeout", { level: "client-timeout" }), "connection-lost", /no answer to keepalives/],
  ["ready", failure("bye\u001b[2J", { code: 11 }), "connection-lost", /broke: bye\\x1b\[2J\.$/],
];

test.each(CONNECTING)("%s: %s", (phase, cause, code, says) => {
  const error = connectionError(cause, phase, target);
  expect(error).toMatchObject({ code, cause });
  expect(error.message).toContain("ann@box:22");
  expect(error.message).toMatch(says);
});

test("several addresses: Node leaves the text empty, and each attempt is told", () => {
  const attempts = ["connect ECONNREFUSED ::1:22", "connect ECONNREFUSED 127.0.0.1:22"].map((text) => failure(text));
  const cause = Object.assign(new AggregateError(attempts, ""), { code: "ECONNREFUSED" });
  const error = connectionError(cause, "dialling", target);
  expect(error.message).toContain("connect ECONNREFUSED ::1:22; connect ECONNREFUSED 127.0.0.1:22.");
  expect(error.hint).toContain("Nothing listens there");
});

test("no text at all: the code is told", () => {
  expect(connectionError(failure("", { code: "EPIPE" }), "dialling", target).message).toContain("reached: EPIPE.");
});

test.each<Phase>(["dialling", "banner", "key exchange", "authentication"])(
  "a deadline names the phase: %s",
  (phase) => {
    const error = connectTimeout(7, { phase, target }, target);
    expect(error).toMatchObject({ code: "connect-failed" });
    expect(error.message).toContain(`ann@box:22 did not get past ${phase} within 7 ms.`);
  },
);

test("a deadline that passed at a jump host names it", () => {
  const hop = { host: "hop", port: 23, user: "bob" };
  const error = connectTimeout(7, { phase: "banner", target: hop }, target);
  expect(error.message).toContain("ann@box:22 did not become ready within 7 ms.");
  expect(error.message).toContain("The jump host bob@hop:23 on the way to it did not get past banner.");
});

describe("a command that was not started", () => {
  test.each<[VendorError, RegExp]>([
    [failure("(SSH) Channel open failure: open failed", { reason: 2 }), /MaxSessions/],
    [failure("Unable to exec"), /limited to sftp/],
  ])("%s", (cause, hint) => {
    const error = execError(cause, target);
    expect(error).toMatchObject({ code: "plugin-not-started", cause });
    expect(error.hint).toMatch(hint);
  });
});

describe("a connection that was not made", () => {
  test.each<[Address, reason: number, code: string, says: RegExp]>([
    [tcp, 1, "forward-forbidden", /AllowTcpForwarding.*PermitOpen/],
    [unix, 1, "forward-forbidden", /AllowStreamLocalForwarding.*PermitOpen/],
    [tcp, 2, "forward-failed", /does not listen there\.$/],
    [unix, 2, "forward-failed", /OpenSSH says the same/],
    [tcp, 3, "unsupported", /does not know how to connect to TCP ports/],
    [unix, 3, "unsupported", /does not know how to connect to unix sockets/],
    [tcp, 4, "forward-failed", /could not connect/],
  ])("to %j for reason %i", (to, reason, code, says) => {
    const cause = failure("(SSH) Channel open failure: open failed", { reason });
    const error = streamError(cause, to);
    expect(error).toMatchObject({ code, cause });
    expect(error.message).toMatch(says);
  });
});

test.each<[Address, RegExp]>([
  [tcp, /listen on 127\.0\.0\.1:7, or the port is taken\.\n.*PermitListen/],
  [unix, /listen on \/tmp\/s, or the path is taken or its directory is not there\.\n.*AllowStreamLocalForwarding/],
])("a listener that was not made at %j", (at, says) => {
  const error = listenError(failure("Unable to bind"), at);
  expect(error.code).toBe("forward-forbidden");
  expect(error.message).toMatch(says);
});
