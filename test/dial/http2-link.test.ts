import type { ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { Http2Link } from "../../src/dial/http2-link.ts";
import { later } from "../../src/lifetime/later.ts";
import { eventually } from "../tools/eventually.ts";
import { startHttp2Server } from "./http2-server.ts";

const CLOSED = new PluginError("closed", "The plugin was killed.");

function sayYes(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.end("yes");
}

async function ask(link: Http2Link): Promise<string> {
  const stream = await link.request("POST", "/", {}, {});
  stream.on("error", () => {});
  stream.end();
  let text = "";
  for await (const chunk of stream) text += chunk;
  return text;
}

test("many requests, also at once, share one connection", async () => {
  await using server = await startHttp2Server(sayYes);
  const link = new Http2Link("http://localhost", () => server.open());
  expect(await Promise.all([ask(link), ask(link), ask(link)])).toEqual(["yes", "yes", "yes"]);
  expect(await ask(link)).toBe("yes");
  expect(server.connections).toBe(1);
  link.close(CLOSED);
  await eventually(() => server.sessions.size === 0 || undefined, { what: "the connection's end" });
});

test("a connection that was lost is made anew", async () => {
  await using server = await startHttp2Server(sayYes);
  const link = new Http2Link("http://localhost", () => server.open());
  await ask(link);
  for (const session of server.sessions) session.destroy();
  await eventually(() => server.sessions.size === 0 || undefined, { what: "the connection's end" });
  await eventually(async () => ((await ask(link).catch(() => "")) === "yes" ? true : undefined), {
    what: "an answer",
  });
  expect(server.connections).toBe(2);
  link.close(CLOSED);
});

test("a request under way fails at once when the link is closed, with the reason as its cause", async () => {
  const arrived = later<void>();
  await using server = await startHttp2Server(() => arrived.resolve());
  const link = new Http2Link("http://localhost", () => server.open());
  const stream = await link.request("POST", "/", {}, {});
  const failed = new Promise<Error>((resolve) => stream.on("error", resolve));
  stream.end();
  await arrived.promise;
  link.close(CLOSED);
  const failure = await failed;
  expect(failure).toBeInstanceOf(ConnectError);
  expect((failure as ConnectError).code).toBe(Code.Unavailable);
  expect(failure.cause).toBe(CLOSED);
});

test("after the close, requests fail with the reason and nothing is opened", async () => {
  const link = new Http2Link("http://localhost", () => Promise.reject(new TypeError("opened after all")));
  link.close(CLOSED);
  const failure = await link.request("POST", "/", {}, {}).catch((error) => error);
  expect(failure.cause).toBe(CLOSED);
  await expect(link.connect()).rejects.toBe(CLOSED);
});

test("a stream that cannot be opened fails the request with that error, and the next one tries again", async () => {
  const refused = new PluginError("forward-forbidden", "No.");
  await using server = await startHttp2Server(sayYes);
  let tries = 0;
  const link = new Http2Link("http://localhost", () => {
    tries += 1;
    return tries === 1 ? Promise.reject(refused) : server.open();
  });
  await expect(link.request("POST", "/", {}, {})).rejects.toMatchObject({ code: Code.Unavailable, cause: refused });
  expect(await ask(link)).toBe("yes");
  link.close(CLOSED);
});

test("a close while connecting ends the connecting", async () => {
  const opening = later<AbortSignal>();
  const link = new Http2Link("http://localhost", (signal) => {
    opening.resolve(signal);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  const connecting = link.connect();
  const signal = await opening.promise;
  link.close(CLOSED);
  expect(signal.aborted).toBe(true);
  await expect(connecting).rejects.toBe(CLOSED);
});

test("the plugin may send megabytes before it hears from us, on each stream and on all", async () => {
  await using server = await startHttp2Server(sayYes);
  const link = new Http2Link("http://localhost", () => server.open());
  await ask(link);
  const [session] = server.sessions;
  expect(session?.remoteSettings.initialWindowSize).toBeGreaterThan(4_000_000);
  await eventually(() => (session?.state.remoteWindowSize ?? 0) > 4_000_000, { what: "the connection's window" });
  link.close(CLOSED);
});
