import type { Library } from "../tools/host-program.ts";

/** What a host in a process of its own was started with. */
export interface Begun<Orders> {
  readonly orders: Orders;
  readonly index: typeof import("../../src/index.ts");
  readonly client: typeof import("../../src/client.ts");
}

/** Reads what the test has put into the environment, and loads the library in the build. A mistake ends the host. */
export async function begin<Orders>(): Promise<Begun<Orders>> {
  process.on("unhandledRejection", (reason) => {
    console.error("unhandled", reason);
    process.exit(70);
  });
  const { library, orders } = JSON.parse(process.env.ORDERS ?? "") as { library: Library; orders: Orders };
  return { orders, index: await import(library.index), client: await import(library.client) };
}

/** Tells the test something, in one line. */
export function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
