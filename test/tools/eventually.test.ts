import { describe, expect, test } from "vitest";
import { eventually } from "./eventually.ts";

describe("eventually", () => {
  test("gives what the check gives, as soon as it does", async () => {
    let asked = 0;
    const answers = [undefined, false, null, 0] as const;
    expect(await eventually(() => answers[asked++], { what: "an answer" })).toBe(0);
    expect(asked).toBe(4);
  });

  test("lets a check fail for a while, and wait for something itself", async () => {
    let asked = 0;
    const check = async () => {
      asked += 1;
      expect(asked).toBeGreaterThan(2);
      return "there";
    };
    expect(await eventually(check, { what: "the third time" })).toBe("there");
  });

  test("shows what was waited for, and the last state", async () => {
    await expect(
      eventually(() => undefined, { what: "rain", timeoutMs: 10, state: () => ({ sky: "blue" }) }),
    ).rejects.toThrow("Waited 10 ms for rain. The last state was: { sky: 'blue' }");
    await expect(eventually(() => false, { what: "rain", timeoutMs: 10 })).rejects.toThrow("The last state was: false");
    const dry = () => {
      throw new Error("no clouds");
    };
    await expect(eventually(dry, { what: "rain", timeoutMs: 10 })).rejects.toThrow("no clouds");
    const wet = async () => "wet";
    await expect(eventually(() => false, { what: "rain", timeoutMs: 10, state: wet })).rejects.toThrow("'wet'");
    const lost = () => Promise.reject(new Error("no log"));
    await expect(eventually(() => false, { what: "rain", timeoutMs: 10, state: lost })).rejects.toThrow("no log");
  });
});
