/** How hclog writes a time in JSON: microseconds, and an offset or `Z`. Go also reads a one-digit hour and a comma. */
const HCLOG_TIME = /^(\d{4}-(\d\d)-(\d\d))T(\d{1,2})(:(\d\d):(\d\d))[.,](\d{3})\d{3}(?:Z|([+-])(\d\d):(\d\d))$/;

/** Go's zero time, which is what go-plugin's host writes for an entry without a time. */
export const ZERO_TIME = "0001-01-01T00:00:00.000Z";

/**
 * The time in a plugin's log line, as go-plugin's host passes it on: milliseconds, and the plugin's own offset without a
 * colon. `undefined` for what Go would not take for a time in hclog's format.
 */
export function readLogTime(text: string): string | undefined {
  const [, date, month, day, hour = "", minuteAndSecond = "", minute, second, ms, sign, ...offset] =
    HCLOG_TIME.exec(text) ?? [];
  if (!date || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (Number(day) < 1 || Number(day) > daysIn(Number(month), Number(date.slice(0, 4)))) return undefined;
  const [hours = 0, minutes = 0] = offset.map((part) => Number(part ?? 0));
  if (hours > 24 || minutes > 60) return undefined;
  return `${date}T${hour.padStart(2, "0")}${minuteAndSecond}.${ms}${zone(sign === "-" ? "-" : "+", hours * 60 + minutes)}`;
}

/** A time as hclog writes it in text: local, with milliseconds, and an offset without a colon. */
export function formatLogTime(at: Date): string {
  const offset = -at.getTimezoneOffset();
  const shifted = new Date(at.getTime() + offset * 60_000);
  return `${shifted.toISOString().slice(0, -1)}${zone(offset < 0 ? "-" : "+", Math.abs(offset))}`;
}

/** How many days a month has in the calendar that Go uses for all times; none for what is no month. */
function daysIn(month: number, year: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month] ?? 0;
}

/** An offset in minutes as Go's `Z0700` writes it. */
function zone(sign: "+" | "-", minutes: number): string {
  const two = (number: number) => String(number).padStart(2, "0");
  return minutes === 0 ? "Z" : `${sign}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}
