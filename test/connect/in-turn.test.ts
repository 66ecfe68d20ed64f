import { expect, test } from "vitest";
import { inTurn } from "../../src/connect/in-turn.ts";
import { later } from "../../src/lifetime/later.ts";

test("tasks of one name run one after the other, those of another name do not wait", async () => {
  const log: string[] = [];
  const gates = [later<void>(), later<void>(), later<void>()] as const;
  const task = (gate: number) => async () => {
    log.push(`begin ${gate}`);
    await gates[gate]?.promise;
    log.push(`end ${gate}`);
    return gate;
  };
  const first = inTurn("a", task(0));
  const second = inTurn("a", task(1));
  expect(await inTurn("b", async () => "free")).toBe("free");
  gates[0].resolve();
  expect(await first).toBe(0);
  // By now the first has been forgotten, and the second has not ended.
  expect(await inTurn("b", async () => "free")).toBe("free");
  const third = inTurn("a", task(2));
  expect(await inTurn("b", async () => "free")).toBe("free");
  gates[2].resolve();
  gates[1].resolve();
  expect(await Promise.all([second, third])).toEqual([1, 2]);
  expect(log).toEqual(["begin 0", "end 0", "begin 1", "end 1", "begin 2", "end 2"]);
});

test("a failure reaches its own caller only", async () => {
  const failing = inTurn("c", async () => {
    throw "no";
  });
  const next = inTurn("c", async () => "yes");
  await expect(failing).rejects.toBe("no");
  expect(await next).toBe("yes");
});
