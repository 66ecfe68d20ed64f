import { describe, expect, test, vi } from "vitest";
import { later } from "../../src/lifetime/later.ts";
import { Lifetime } from "../../src/lifetime/lifetime.ts";

describe("a lifetime", () => {
  test("gives back what it owns, and undoes it newest first, one after the other", async () => {
    const lifetime = new Lifetime();
    const order: string[] = [];
    const undo = async (name: string) => {
      order.push(`${name} begins`);
      await new Promise(setImmediate);
      order.push(`${name} done`);
    };
    expect(await lifetime.own("first", undo)).toBe("first");
    await lifetime.own("second", undo);
    await lifetime.own("third", (name) => order.push(name));
    expect(order).toEqual([]);
    await lifetime.close();
    expect(order).toEqual(["third", "second begins", "second done", "first begins", "first done"]);
  });

  test("ends once, however often it is closed", async () => {
    const lifetime = new Lifetime();
    const undo = vi.fn();
    await lifetime.own("thing", undo);
    const closing = lifetime.close();
    expect(lifetime.close()).toBe(closing);
    await closing;
    await lifetime.close();
    await lifetime[Symbol.asyncDispose]();
    expect(undo.mock.calls).toEqual([["thing"]]);
  });

  test("undoes the same thing as often as it was given it", async () => {
    const lifetime = new Lifetime();
    const undo = vi.fn();
    await lifetime.own("thing", undo);
    await lifetime.own("thing", undo);
    await lifetime.close();
    expect(undo).toHaveBeenCalledTimes(2);
  });

  test("tries all of it, and fails with the first failure", async () => {
    const lifetime = new Lifetime();
    const undone: string[] = [];
    await lifetime.own("a", (name) => undone.push(name));
    await lifetime.own("b", () => Promise.reject(new RangeError("b")));
    await lifetime.own("c", (name) => undone.push(name));
    await lifetime.own("d", () => {
      throw new RangeError("d");
    });
    await expect(lifetime.close()).rejects.toThrow(new RangeError("d"));
    await expect(lifetime.close()).rejects.toThrow(new RangeError("d"));
    expect(undone).toEqual(["c", "a"]);
  });

  test("tells that its end begins, before anything is undone", async () => {
    const lifetime = new Lifetime();
    const { ending } = lifetime;
    const seen: boolean[] = [];
    await lifetime.own("thing", () => seen.push(ending.aborted));
    expect(ending.aborted).toBe(false);
    await lifetime.close();
    expect(seen).toEqual([true]);
    expect(ending.reason).toMatchObject({ name: "PluginError", code: "closed" });
  });

  test("undoes on the spot what arrives after its end, or in the middle of it", async () => {
    const lifetime = new Lifetime();
    const held = later<void>();
    const undo = vi.fn();
    await lifetime.own("slow", () => held.promise);
    const closing = lifetime.close();
    await expect(lifetime.own("in the middle", undo)).rejects.toMatchObject({ code: "closed" });
    expect(undo.mock.calls).toEqual([["in the middle"]]);
    held.resolve();
    await closing;
    await expect(lifetime.own("after", undo)).rejects.toMatchObject({ code: "closed" });
    expect(undo.mock.calls).toEqual([["in the middle"], ["after"]]);
  });

  test("waits for what it undoes on the spot", async () => {
    const lifetime = new Lifetime();
    await lifetime.close();
    const held = later<void>();
    let heard = false;
    const owning = lifetime
      .own("late", () => held.promise)
      .catch(() => {
        heard = true;
      });
    await new Promise(setImmediate);
    expect(heard).toBe(false);
    held.resolve();
    await owning;
    expect(heard).toBe(true);
  });

  test("can be ended by the scope that it stands in", async () => {
    const undo = vi.fn();
    {
      await using lifetime = new Lifetime();
      await lifetime.own("thing", undo);
    }
    expect(undo).toHaveBeenCalledTimes(1);
  });
});
