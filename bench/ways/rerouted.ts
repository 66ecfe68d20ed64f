import type { Runner } from "../../src/index.ts";

/** What of a runner may be replaced; `undefined` takes it away. */
export type Changes = { [Name in "openStream" | "pluginToHost" | "hostToPlugin"]?: Runner[Name] | undefined };

/** The same runner with other ways to the plugin's addresses. */
export function rerouted(runner: Runner, changes: Changes): Runner {
  return new Proxy(runner, {
    get: (target, name) => {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
