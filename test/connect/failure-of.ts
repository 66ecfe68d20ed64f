import { PluginError } from "../../src/contract/errors.ts";

/** What `task` throws at once; whatever is not a `PluginError` fails the test. */
export function failureOf(task: () => unknown): PluginError {
  try {
    task();
  } catch (failure) {
    if (failure instanceof PluginError) return failure;
    throw failure;
  }
  throw new TypeError("It did not fail.");
}

/** What `promise` rejects with; whatever is not a `PluginError` fails the test. */
export async function rejectionOf(promise: Promise<unknown>): Promise<PluginError> {
  const result = await promise.then(
    (value) => ({ value }),
    (failure: unknown) => ({ failure }),
  );
  if (!("failure" in result)) throw new TypeError("It did not fail.");
  if (result.failure instanceof PluginError) return result.failure;
  throw result.failure;
}
