import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { RunnerKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { causeOf, underWay } from "./failing-calls.ts";
import { GrpcJs } from "./generic-grpc-js.ts";
import { hostKv, startKvOn } from "./started-client.ts";

/** Less than any deadline that a call might run into, the start of all that is needed included. */
const AT_ONCE_MS = 40_000;

/** How a plugin ends, and what becomes of calls then. */
export function endContract(kind: RunnerKind): void {
  describe("kill", () => {
    test("lets the plugin leave by itself, with exit code 0", async () => {
      await using bench = await kind.open();
      const { client, kv, runner } = await startKvOn(bench);
      const waiting = client.wait();
      await client.kill();
      expect(await waiting).toEqual({ code: 0, signal: null });
      expect(await runner.wait()).toEqual({ code: 0, signal: null });
      for (const call of [client.ping(), client.grpcTarget()]) expect((await failureOf(call)).code).toBe("closed");
      expect(await causeOf(kv.get({ key: "a" }))).toMatchObject({ code: "plugin-exited" });
      await client.kill();
    });

    test("ends one that does not answer", async () => {
      await using bench = await kind.open();
      const { client } = await startKvOn(bench, { shutdownTimeoutMs: 300 });
      process.kill(pidOf(client.id), "SIGSTOP");
      await client.kill();
      expect(isAlive(pidOf(client.id))).toBe(false);
      expect(await client.wait()).toMatchObject({ code: null });
    });

    test("ends what the plugin has left behind", async () => {
      await using bench = await kind.open();
      const stderr: Buffer[] = [];
      const { client } = await startKvOn(bench, {
        flags: ["-grandchild", "-daemon-grandchild", "-ignore-term"],
        stderr: new Writable({
          write: (chunk, _encoding, done) => {
            stderr.push(chunk);
            done();
          },
        }),
      });
      const said = () => [
        ...Buffer.concat(stderr)
          .toString()
          .matchAll(/^grandchild (\d+)\n/gm),
      ];
      // What was said before the handshake comes another way, and may be here after it.
      const both = () => said().length === 2 && said();
      const pids = (await eventually(both, { what: "two grandchildren", state: said })).map(([, pid]) => Number(pid));
      expect(pids.filter(isAlive)).toHaveLength(2);
      await client.kill();
      expect([pidOf(client.id), ...pids].filter(isAlive)).toEqual([]);
    });

    test("ends calls that are under way", async () => {
      await using bench = await kind.open();
      const hosted = await startKvOn(bench);
      const calls = underWay(hosted);
      await calls.begun;
      await hosted.client.kill();
      for (const cause of await calls.causes) expect(["plugin-exited", "closed"]).toContain(cause.code);
    });

    test("may be called twice, at once, and before the start", async () => {
      await using bench = await kind.open();
      const { client } = await startKvOn(bench);
      await Promise.all([client.kill(), client.kill()]);
      await using never = await hostKv(bench);
      await never.client.kill();
      expect((await failureOf(never.client.start())).code).toBe("closed");
      expect(never.runners).toEqual([]);
    });
  });

  describe("a plugin that is gone", () => {
    test("fails all that is under way at once, and all that comes later", { timeout: AT_ONCE_MS }, async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      const calls = underWay(hosted);
      await calls.begun;
      hosted.kv.crash({ exitCode: 3 }).catch(() => {});
      for (const cause of await calls.causes) expect(cause).toMatchObject({ code: "plugin-exited" });
      expect(await hosted.client.wait()).toEqual({ code: 3, signal: null });
      const later = await causeOf(hosted.kv.get({ key: "a" }));
      expect(later).toMatchObject({ code: "plugin-exited", message: expect.stringContaining("exit code 3") });
      expect((await failureOf(hosted.client.ping())).code).toBe("plugin-exited");
    });

    test("fails the very call that it crashed in", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      expect(await causeOf(hosted.kv.crash({ exitCode: 9 }))).toMatchObject({
        code: "plugin-exited",
        message: expect.stringContaining("exit code 9"),
      });
      expect(await hosted.client.wait()).toEqual({ code: 9, signal: null });
    });

    test("was killed by somebody else", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      const calls = underWay(hosted);
      await calls.begun;
      process.kill(pidOf(hosted.client.id), "SIGKILL");
      for (const cause of await calls.causes) {
        expect(cause).toMatchObject({ code: "plugin-exited", message: expect.stringContaining("SIGKILL") });
      }
      expect(await hosted.client.wait()).toEqual({ code: null, signal: "SIGKILL" });
    });

    test("fails the calls of grpc-js too", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      using grpcJs = new GrpcJs(await hosted.client.grpcTarget());
      const call = grpcJs.openBidirectional(KV.method.chat, { text: "are you there?" });
      await call.begun;
      await hosted.kv.crash({ exitCode: 9 }).catch(() => {});
      await expect(call.ended).rejects.toMatchObject({ code: expect.any(Number) });
    });

    test("that only hangs is told by a ping", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, { pingTimeoutMs: 300, shutdownTimeoutMs: 300 });
      const pid = pidOf(hosted.client.id);
      process.kill(pid, "SIGSTOP");
      const failure = await failureOf(hosted.client.ping());
      expect(failure).toMatchObject({ code: "plugin-exited", message: expect.stringContaining("300 ms") });
      expect((await failureOf(hosted.client.ping(AbortSignal.abort()))).code).toBe("aborted");
      process.kill(pid, "SIGCONT");
      await eventually(() => hosted.client.ping().then(() => true), { what: "the plugin to answer again" });
    });
  });

  describe.skipIf(kind.isLocal)("a connection that broke", () => {
    test("fails all that is under way, and all that comes later", { timeout: AT_ONCE_MS }, async () => {
      await using bench = await kind.open();
      const hosted = await startKvOn(bench);
      const calls = underWay(hosted);
      await calls.begun;
      bench.server?.killSessions("SIGKILL");
      for (const cause of await calls.causes) expect(cause).toMatchObject({ code: "connection-lost" });
      expect(await causeOf(hosted.kv.get({ key: "a" }))).toMatchObject({ code: "connection-lost" });
      expect((await failureOf(hosted.client.wait())).code).toBe("connection-lost");
      expect((await failureOf(hosted.client.kill())).code).toBe("connection-lost");
    });
  });
}

function pidOf(id: string): number {
  return Number(id.split("#")[1]);
}
