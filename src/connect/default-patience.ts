/** How long connecting may take where nobody says otherwise. */
export const CONNECT_TIMEOUT_MS = 30_000;

/** How often a silent server is asked whether it is still there where nobody says otherwise. */
export const SERVER_ALIVE_INTERVAL_MS = 15_000;

/** How many of these questions may stay without an answer where nobody says otherwise. */
export const SERVER_ALIVE_COUNT_MAX = 3;
