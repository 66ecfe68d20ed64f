import type { LogFields, LogLevel } from "./log-words.ts";

/**
 * A line as hclog writes it in JSON, with its end, so that a go-plugin host logs it with its level: microseconds, and an
 * offset or `Z`, because Go takes a line with another kind of time for plain text.
 */
export function hclogLine(level: LogLevel, message: string, fields: LogFields, at: Date): string {
  return `${JSON.stringify({
    "@level": level,
    "@message": message,
    "@module": "go-plugin-ssh.shim",
    "@timestamp": timestamp(at),
    ...fields,
  })}\n`;
}

function timestamp(at: Date): string {
  const offset = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, -1);
  const two = (number: number) => String(number).padStart(2, "0");
  const zone =
    offset === 0
      ? "Z"
      : `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${local}000${zone}`;
}
