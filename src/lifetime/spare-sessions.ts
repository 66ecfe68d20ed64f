/** Gives a session back. Resolves when it is free for others; never rejects. */
type GiveBack = () => Promise<void>;

const offered = new WeakMap<object, Set<GiveBack>>();

/**
 * Says that a session of `connection` is kept for convenience only, until the function that comes back is called.
 *
 * @param giveBack ends what keeps the session; called once at most, and it is not offered any more then
 */
export function offerSession(connection: object, giveBack: GiveBack): () => void {
  const offers = offered.get(connection) ?? new Set();
  offered.set(connection, offers);
  offers.add(giveBack);
  return () => offers.delete(giveBack);
}

/**
 * Has a session of `connection` given back that is kept for convenience only, because somebody needs one and the server
 * gives no more. Resolves with whether there was one.
 */
export async function reclaimSession(connection: object): Promise<boolean> {
  const offers = offered.get(connection);
  const [giveBack] = offers ?? [];
  if (!offers || !giveBack) return false;
  offers.delete(giveBack);
  await giveBack();
  return true;
}
