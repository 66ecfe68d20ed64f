import { head } from "../table.ts";
import type { Journey, RoundTrips } from "./run.ts";

const NAME = 40;
const CELL = 12;

/** The counts as text: a line for each way, then what each of our own starts waited for. */
export function roundTripTable({ circumstances, journeys }: RoundTrips): string {
  const links = [...new Set(journeys.map(({ roundTripMs }) => roundTripMs))];
  const ways = [...new Set(journeys.map(({ way }) => way))];
  const find = (way: string, link: number) => journeys.find((one) => one.way === way && one.roundTripMs === link);
  const line = (way: string) => {
    const cells = links.flatMap((link) => figures(find(way, link)));
    return way.padEnd(NAME) + cells.map((cell) => cell.padStart(CELL)).join("");
  };
  const heads = links.flatMap((link) => [`${link} ms: ms`, "trips"]).map((text) => text.padStart(CELL));
  const longest = Math.max(...links);
  return `${[
    head(circumstances),
    ["From the call to the first answer over TLS".padEnd(NAME) + heads.join(""), ...ways.map(line)].join("\n"),
    ...ways.map((way) => told(find(way, longest))).filter((text) => text !== ""),
    LEGEND,
  ].join("\n\n")}\n`;
}

function figures(journey: Journey | undefined): string[] {
  if (!journey) return ["-", "-"];
  return [journey.tookMs.toFixed(0), `${journey.trips.at(-1)?.at ?? 0}`];
}

function told(journey: Journey | undefined): string {
  if (!journey || journey.trips.length < 2) return "";
  const lines = journey.trips.map(({ at, took, what }) => {
    const number = took > 1 ? `${at - took + 1}-${at}` : `${at}`;
    return `  ${number.padStart(5)}  ${what}`;
  });
  return [`${journey.way}, at ${journey.roundTripMs} ms`, ...lines].join("\n");
}

const LEGEND = [
  "ms: the quickest of a few starts. trips: round trips of the link, counted step by step in the quickest of each. The rest of the",
  "time is work on both sides, the plugin's own start included. `ssh` does not say everything that it waits for.",
].join("\n");
