import { PluginError } from "../contract/errors.ts";

/**
 * Ends something for `await using`: a connection that is lost already is no failure there, because those who waited
 * were told. Every other failure is passed on.
 */
export async function despiteLoss(ended: Promise<void>): Promise<void> {
  await ended.catch((failure) => {
    if (!(failure instanceof PluginError && failure.code === "connection-lost")) throw failure;
  });
}
