import { expect, test } from "vitest";
import { later } from "../../src/lifetime/later.ts";

test("the first settlement counts", async () => {
  const kept = later<string>();
  kept.resolve("first");
  kept.resolve("second");
  kept.reject(new RangeError("third"));
  expect(await kept.promise).toBe("first");

  const broken = later<string>();
  broken.reject(new RangeError("first"));
  broken.resolve("second");
  await expect(broken.promise).rejects.toThrow("first");
});

test("a rejection that nobody waits for disturbs nobody, and can be heard later", async () => {
  const heard: unknown[] = [];
  const listener = (reason: unknown) => heard.push(reason);
  process.on("unhandledRejection", listener);
  try {
    const broken = later<void>();
    broken.reject(new RangeError("nobody asked"));
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    expect(heard).toEqual([]);
    await expect(broken.promise).rejects.toThrow("nobody asked");
  } finally {
    process.off("unhandledRejection", listener);
  }
});
