/** Runs a caller's callback while the connection's deadline stands still, because a person may have to answer. */
export type AskPerson = <T>(ask: (signal: AbortSignal) => Promise<T> | T) => Promise<T>;
