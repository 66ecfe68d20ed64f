import { callback, multiplexed } from "./callbacks.ts";
import { large, unary } from "./calls.ts";
import { connections } from "./connections.ts";
import type { Row } from "./row.ts";
import { cold, warm } from "./start.ts";
import { down, up } from "./streams.ts";

/** All that is measured, in the order of the table. */
export const ROWS: readonly Row[] = [unary, down, up, large, connections, cold, warm, callback, multiplexed];
