import { describe, expect, test } from "vitest";
import {
  bits,
  der,
  explicit,
  integer,
  octets,
  oid,
  printable,
  sequence,
  set,
  TRUE,
  time,
} from "../../src/handshake/der.ts";

describe("DER values", () => {
  test.each([
    ["a short value", der(0x82, Buffer.from("localhost")), "82096c6f63616c686f7374"],
    ["an empty sequence", sequence(), "3000"],
    ["a nested sequence", sequence(sequence(), TRUE), "300530000101ff"],
    ["a set of one", set(sequence()), "31023000"],
    ["an explicit tag", explicit(3, sequence()), "a3023000"],
    ["an integer of several parts", integer(Buffer.of(1), Buffer.of(0xff)), "020201ff"],
    ["true", TRUE, "0101ff"],
    ["octets", octets(Buffer.of(0, 1)), "04020001"],
    ["bits", bits(Buffer.of(0xac), 2), "030202ac"],
    ["whole bytes of bits", bits(Buffer.of(0xac)), "030200ac"],
    ["printable text", printable("HashiCorp"), "13094861736869436f7270"],
    ["an object identifier", oid("2.5.29.17"), "0603551d11"],
    ["an object identifier with parts above 127", oid("1.2.840.10045.4.3.4"), "06082a8648ce3d040304"],
  ])("%s", (_, value, hex) => {
    expect(value.toString("hex")).toBe(hex);
  });

  test.each([
    [0, "0400"],
    [127, "047f"],
    [128, "048180"],
    [255, "0481ff"],
    [256, "04820100"],
    [65_535, "0482ffff"],
  ])("%i bytes of content have their length in the shortest form", (size, head) => {
    const value = octets(Buffer.alloc(size));
    expect(value.subarray(0, head.length / 2).toString("hex")).toBe(head);
    expect(value).toHaveLength(head.length / 2 + size);
  });

  test.each([
    ["2026-01-02T03:04:05.999Z", 0x17, "260102030405Z"],
    ["2049-12-31T23:59:59.999Z", 0x17, "491231235959Z"],
    ["2050-01-01T00:00:00.000Z", 0x18, "20500101000000Z"],
  ])("%s is written as RFC 5280 wants it", (iso, tag, text) => {
    expect(time(new Date(iso))).toEqual(der(tag, Buffer.from(text)));
  });
});
