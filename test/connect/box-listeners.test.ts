import { EventEmitter } from "node:events";
import type { Client } from "ssh2";
import { expect, test } from "vitest";
import { BoxListeners } from "../../src/connect/box-listeners.ts";

const ANY = { network: "tcp", host: "127.0.0.1", port: 0 } as const;

/** A client whose server refuses some ports, and gives 1234 where it may choose. */
function clientRefusing(...ports: number[]) {
  const asked: number[] = [];
  const forwardIn = (_host: string, port: number, done: (failure?: Error, chosen?: number) => void) => {
    asked.push(port);
    if (ports.includes(port)) done(new Error("Unable to bind"));
    else done(undefined, port || 1234);
  };
  return { asked, client: Object.assign(new EventEmitter(), { forwardIn }) as unknown as Client };
}

test("a port that any may be is chosen here, because some servers forget which they chose", async () => {
  const { client, asked } = clientRefusing();
  const { address } = await new BoxListeners(client).listen(ANY, () => {});
  expect(asked).toEqual([address.network === "tcp" && address.port]);
  expect(asked[0]).toBeGreaterThanOrEqual(61_001);
  expect(asked[0]).toBeLessThanOrEqual(65_535);
});

test("the server chooses if ours is taken", async () => {
  const { client, asked } = clientRefusing(61_500);
  const { address } = await new BoxListeners(client, () => 61_500).listen(ANY, () => {});
  expect([asked, address]).toEqual([[61_500, 0], { ...ANY, port: 1234 }]);
});

test("a server that refuses every port is told of", async () => {
  const { client } = clientRefusing(61_500, 0);
  const listening = new BoxListeners(client, () => 61_500).listen(ANY, () => {});
  await expect(listening).rejects.toMatchObject({ code: "forward-forbidden" });
});

test("a port that was named is asked for, and no other", async () => {
  const { client, asked } = clientRefusing(8080);
  const listening = new BoxListeners(client).listen({ ...ANY, port: 8080 }, () => {});
  await expect(listening).rejects.toMatchObject({ code: "forward-forbidden" });
  expect(asked).toEqual([8080]);
});
