import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { FIRST_WINDOW } from "../../src/carry/frames.ts";
import { splice } from "../../src/carry/splice.ts";
import { type Address, formatAddress } from "../../src/contract/address.ts";
import fc from "../tools/property.ts";
import { announcement, announcementsIn } from "./announcements.ts";
import { Peer } from "./referee.ts";

const BROKER = 1;
const OTHERS = [3, 5];
const ALL = [BROKER, ...OTHERS];

/** Literal fields, not indexed: nothing to keep in step with. */
function request(path: string): Buffer {
  return Buffer.concat([Buffer.of(0x83, 0x86, 0x04, path.length), Buffer.from(path)]);
}

/** What one side says on the broker's stream, and what the others carry. */
interface Traffic {
  /** By how much each address is made longer or shorter. */
  readonly changes: readonly number[];
  readonly others: readonly number[];
}

interface Plan {
  readonly client: Traffic;
  readonly server: Traffic;
  readonly windows: readonly [client: number, server: number];
  /** Decides who does what next, how much of it, and how the bytes are cut. */
  readonly choices: readonly number[];
  readonly padding: number;
}

const traffic = fc.record({
  changes: fc.array(fc.integer({ min: -40, max: 3_000 }), { maxLength: 12 }),
  others: fc.tuple(fc.nat(200_000), fc.nat(200_000)),
});

const plan: fc.Arbitrary<Plan> = fc.record({
  client: traffic,
  server: traffic,
  windows: fc.tuple(fc.constantFrom(65_535, 20_000, 700, 64), fc.constantFrom(65_535, 20_000, 700, 64)),
  choices: fc.array(fc.nat(2 ** 30), { minLength: 50, maxLength: 50 }),
  padding: fc.constantFrom(0, 0, 1, 9),
});

describe("whatever two peers do within their windows", () => {
  test("neither sees a violation, and everything arrives", async () => {
    await fc.assert(fc.asyncProperty(plan, playThrough), {
      numRuns: Number(process.env.GO_PLUGIN_SSH_TEST_RUNS ?? 30),
    });
  }, 300_000);
});

test("a sender who uses up his window after an announcement has grown has his last bytes wait, and nothing overtakes them that must not", async () => {
  const grow = 3_000;
  const lines = [new Line(), new Line()] as const;
  const options = { initialWindow: FIRST_WINDOW };
  const client = new Peer("the client", (bytes) => lines[0].fromPeer(bytes), { preface: false, ...options });
  const server = new Peer("the server", (bytes) => lines[1].fromPeer(bytes), { preface: true, ...options });
  const rewrite = async (address: Address) => ({ ...address, path: changed(formatAddress(address), grow) }) as Address;
  splice(lines[0], lines[1], { fromClient: rewrite, fromServer: rewrite });
  const play = async () => {
    for (let n = 0; n < 5; n++) {
      for (const line of lines) line.feed(Number.POSITIVE_INFINITY);
      await turn();
      for (const bytes of lines[0].sent.splice(0)) client.take(bytes);
      for (const bytes of lines[1].sent.splice(0)) server.take(bytes);
    }
  };
  const announce = (id: number) => {
    const stream = client.open(id, request("/plugin.GRPCBroker/StartStream"));
    stream.outgoing = announcement({ id, network: "unix", address: addressOf(id) });
    client.sendSome(id, FIRST_WINDOW);
  };
  client.begin(true);
  server.begin(false);
  await play();
  announce(1);
  await play();
  const lent = server.streams.get(1)?.received.length ?? 0;
  const bulk = client.open(3, request("/bulk"));
  bulk.outgoing = Buffer.alloc(FIRST_WINDOW, "b");
  bulk.endsAfter = true;
  while (client.sendSome(3, 16_384));
  await play();
  expect(client.windows.send).toBe(0);
  expect(server.streams.get(3)?.received).toHaveLength(FIRST_WINDOW - lent);
  expect(server.streams.get(3)?.ended).toBe(false);
  // Its headers wait behind those bytes, and what it announces behind its headers.
  client.open(5, request("/plugin.GRPCBroker/StartStream"));
  server.pay(1);
  await play();
  expect(server.log).not.toContain("1:5:34");
  server.pay(0);
  await play();
  expect(server.streams.get(3)?.received).toHaveLength(FIRST_WINDOW);
  expect(server.streams.get(3)?.ended).toBe(true);
  expect(server.log).toContain("1:5:34");
  for (const line of lines) line.destroy();
});

/** Plays until nobody can do anything more, and sees that all has arrived and all is paid for. */
async function playThrough(plan: Plan): Promise<void> {
  const ends: (Error | undefined)[] = [];
  const lines = [new Line(), new Line()] as const;
  const client = new Peer("the client", (bytes) => lines[0].fromPeer(bytes), {
    preface: false,
    initialWindow: plan.windows[0],
  });
  const server = new Peer("the server", (bytes) => lines[1].fromPeer(bytes), {
    preface: true,
    initialWindow: plan.windows[1],
  });
  const pending: (() => void)[] = [];
  splice(lines[0], lines[1], {
    fromClient: (address) => later(address, plan.client, pending),
    fromServer: (address) => later(address, plan.server, pending),
    onEnd: (failure) => ends.push(failure),
  });
  const deliver = () => {
    for (const bytes of lines[0].sent.splice(0)) client.take(bytes);
    for (const bytes of lines[1].sent.splice(0)) server.take(bytes);
  };
  client.begin(true);
  server.begin(false);
  for (const line of lines) line.feed(Number.POSITIVE_INFINITY);
  await turn();
  // Before they know each other's settings peers may send more than those allow.
  deliver();
  client.open(BROKER, request("/plugin.GRPCBroker/StartStream"));
  for (const id of OTHERS) client.open(id, request(`/other/${id}`));
  fill(client, plan.client);
  fill(server, plan.server);

  let step = 0;
  const choose = () => (plan.choices[step++ % plan.choices.length] ?? 0) + step;
  for (let idle = 0; idle < 3; ) {
    let acted = false;
    for (let n = 0; n < 8; n++) {
      const [peer, line] = choose() % 2 === 0 ? [client, lines[0]] : [server, lines[1]];
      const id = ALL[choose() % ALL.length] ?? BROKER;
      const most = [1, 30, 700, 16_384, 65_535][choose() % 5] ?? 1;
      const what = choose() % 6;
      if (what < 3) acted = peer.sendSome(id, most, what === 0 ? plan.padding : 0) || acted;
      else if (what === 3) acted = peer.pay(choose() % 3 === 0 ? 0 : id) || acted;
      else if (what === 4) pending.shift()?.();
      else line.cutAt = [Number.POSITIVE_INFINITY, 1, 7, 100][choose() % 4] ?? 1;
    }
    for (const line of lines) line.feed([1, 2, 5, Number.POSITIVE_INFINITY][choose() % 4] ?? 1);
    await turn();
    deliver();
    if (ends.length > 0) throw ends[0] ?? new Error("The connection ended.");
    if (acted) {
      idle = 0;
      continue;
    }
    // Whatever was not chosen by chance is done now, once.
    for (const peer of [client, server]) {
      for (const id of ALL) acted = peer.sendSome(id, 16_384) || acted;
      for (const id of [0, ...ALL]) acted = peer.pay(id) || acted;
    }
    for (const line of lines) acted = line.feed(Number.POSITIVE_INFINITY) || acted;
    for (const finish of pending.splice(0)) {
      finish();
      acted = true;
    }
    idle = acted ? 0 : idle + 1;
  }

  check(plan.client, client, server);
  check(plan.server, server, client);
  expect(client.windows).toEqual({ send: 65_535, receive: 65_535 });
  expect(server.windows).toEqual({ send: 65_535, receive: 65_535 });
  for (const line of lines) line.destroy();
}

function fill(peer: Peer, { changes, others }: Traffic): void {
  const said = changes.map((_, id) => announcement({ id, network: "unix", address: addressOf(id) }));
  const streams = peer.streams;
  for (const id of ALL) {
    if (!streams.has(id)) peer.pay(id);
    const stream = streams.get(id);
    if (!stream) throw new Error(`There is no stream ${id}.`);
    stream.outgoing = id === BROKER ? Buffer.concat(said) : Buffer.alloc(others[OTHERS.indexOf(id)] ?? 0, id);
    stream.endsAfter = true;
  }
}

function check({ changes, others }: Traffic, from: Peer, to: Peer): void {
  const broker = to.streams.get(BROKER);
  expect(from.streams.get(BROKER)?.outgoing).toHaveLength(0);
  expect(announcementsIn(broker?.received ?? Buffer.alloc(0))).toEqual(
    changes.map((change, id) => ({ id, network: "unix", address: changed(addressOf(id), change) })),
  );
  OTHERS.forEach((id, nth) => {
    const received = to.streams.get(id)?.received ?? Buffer.alloc(0);
    expect(received.equals(Buffer.alloc(others[nth] ?? 0, id))).toBe(true);
  });
  for (const id of ALL) expect(to.streams.get(id)?.ended).toBe(true);
}

function addressOf(id: number): string {
  return `/tmp/a-directory-with-a-name-of-50-characters/socket-${id}`;
}

function changed(address: string, change: number): string {
  return change < 0 ? address.slice(0, change) : address + "x".repeat(change);
}

async function later(address: Address, { changes }: Traffic, pending: (() => void)[]): Promise<Address> {
  const path = address.network === "unix" ? address.path : "";
  const id = Number(/\d+$/.exec(path)?.[0]);
  // Some are ready at once, others in any order.
  if (id % 3 > 0) await new Promise<void>((resolve) => pending.splice(id % 2 ? 0 : pending.length, 0, resolve));
  return { network: "unix", path: changed(path, changes[id] ?? 0) };
}

/** A stream whose other end is a peer in the same turn; what the peer sends is cut up. */
class Line extends Duplex {
  readonly sent: Buffer[] = [];
  cutAt = Number.POSITIVE_INFINITY;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.sent.push(chunk);
    done();
  }

  /** What the peer has sent and nobody has read. */
  readonly #pieces: Buffer[] = [];

  fromPeer(bytes: Buffer): void {
    const length = Math.max(this.cutAt, Math.ceil(bytes.length / 40));
    for (let at = 0; at < bytes.length; at += length) this.#pieces.push(bytes.subarray(at, at + length));
  }

  /** Lets so many pieces be read; whether there were any. */
  feed(count: number): boolean {
    const pieces = this.#pieces.splice(0, count);
    for (const piece of pieces) this.push(piece);
    return pieces.length > 0;
  }
}
