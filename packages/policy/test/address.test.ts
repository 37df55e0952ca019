import { describe, expect, test } from "vitest";
import { formatRange, isInRange, isRangeInside, parseAddress, parseRange } from "../src/address.ts";
import { dialReadings } from "../src/address-readings.ts";
import { isKeywordFor, specialZoneOf } from "../src/special-addresses.ts";

describe("an address is 16 bytes, and has one text", () => {
  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["0:0:0:0:0:FFFF:0a01:0203", "10.1.2.3"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["::127.0.0.1", "::7f00:1"],
  ])("%s is %s", (text, canonical) => {
    expect(parseAddress(text)?.text).toBe(canonical);
    expect(parseAddress(canonical)?.bytes).toEqual(parseAddress(text)?.bytes);
  });

  test.each([
    ...[
      "",
      "127.1",
      "0177.0.0.1",
      "0x7f.0.0.1",
      "2130706433",
      "1.2.3.4.",
      "1.2.3.256",
      "01.2.3.4",
      " 1.2.3.4",
    ],
    ...["localhost", "[::1]", "::1%lo", "1::2::3", ":1", "12345::", "①②⑦.0.0.1", "1".repeat(100)],
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe("a range", () => {
  test("is the addresses that share its first bits, of its own family only", () => {
    const isIn = (address: string, range: string) => isInRange(parseAddress(address)!, parseRange(range)!);
    expect(isIn("10.255.255.255", "10.0.0.0/8")).toBe(true);
    expect(isIn("11.0.0.0", "10.0.0.0/8")).toBe(false);
    expect(isIn("172.31.255.255", "172.16.0.0/12")).toBe(true);
    expect(isIn("172.32.0.0", "172.16.0.0/12")).toBe(false);
    expect(isIn("1.2.3.4", "0.0.0.0/0")).toBe(true);
    expect(isIn("1.2.3.4", "::/0")).toBe(false);
    expect(isIn("fe80::1", "0.0.0.0/0")).toBe(false);
    expect(isIn("febf:ffff::", "fe80::/10")).toBe(true);
    expect(isIn("fec0::", "fe80::/10")).toBe(false);
    expect(isIn("::ffff:10.0.0.1", "10.0.0.1")).toBe(true);
  });

  test("lies inside another or does not", () => {
    const isInside = (inner: string, outer: string) => isRangeInside(parseRange(inner)!, parseRange(outer)!);
    expect(isInside("127.0.0.1", "127.0.0.0/8")).toBe(true);
    expect(isInside("127.0.0.0/8", "127.0.0.0/8")).toBe(true);
    expect(isInside("126.0.0.0/7", "127.0.0.0/8")).toBe(false);
    expect(isInside("::/0", "127.0.0.0/8")).toBe(false);
  });

  test.each(["10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "fd00::/8", "::/0", "::1"])(
    "%s is written as that",
    (text) => {
      expect(formatRange(parseRange(text)!)).toBe(text);
    },
  );

  test.each([
    "10.0.0.1/8",
    "10.0.0.0/33",
    "fd00::1/8",
    "fd00::/129",
    "10.0.0.0/08",
    "10.0.0.0/",
    "10.0.0.0/8/8",
  ])("%s is none", (text) => expect(parseRange(text)).toBeUndefined());
});

test.each([
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["::1", "loopback"],
  ["169.254.169.254", "link-local"],
  ["fe80::1", "link-local"],
  ["224.0.0.1", "multicast"],
  ["ff02::1", "multicast"],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["::", "unspecified"],
  ["fd00:ec2::254", "metadata"],
  ["100.100.100.200", "metadata"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "reserved"],
  ["64:ff9b:1::1", "local translation"],
  ["10.0.0.1", undefined],
  ["128.0.0.1", undefined],
  ["126.255.255.255", undefined],
  ["169.253.255.255", undefined],
  ["fd00:ec2::253", undefined],
  ["2606:4700::1111", undefined],
])("T20: the special zone of %s is %s", (text, zone) => {
  expect(specialZoneOf(parseAddress(text)!)).toBe(zone);
});

test.each([
  ["10.0.0.1", "private"],
  ["172.16.0.1", "private"],
  ["192.168.255.255", "private"],
  ["100.64.0.1", "private"],
  ["fd12::1", "private"],
  ["8.8.8.8", "public"],
  ["2606:4700::1111", "public"],
  ["172.32.0.1", "public"],
  ["192.0.2.1", "neither"],
  ["2001:db8::1", "neither"],
  ["127.0.0.1", "neither"],
  ["4000::1", "neither"],
])("%s is %s", (text, which) => {
  const address = parseAddress(text)!;
  expect(isKeywordFor("private", address)).toBe(which === "private");
  expect(isKeywordFor("public", address)).toBe(which === "public");
});

test.each([
  ["8.8.8.8", ["8.8.8.8"]],
  ["::1", ["::1"]],
  ["0.0.0.0", ["0.0.0.0", "127.0.0.1"]],
  ["::", ["::", "::1", "127.0.0.1"]],
  ["::7f00:1", ["::7f00:1", "127.0.0.1"]],
  ["::ffff:0:7f00:1", ["::ffff:0:7f00:1", "127.0.0.1"]],
  ["64:ff9b::7f00:1", ["64:ff9b::7f00:1", "127.0.0.1"]],
  ["2002:7f00:1::", ["2002:7f00:1::", "127.0.0.1"]],
  ["2001:0:a00:1::80ff:fffe", ["2001:0:a00:1::80ff:fffe", "10.0.0.1", "127.0.0.1"]],
])("T19: dialing %s may reach %s", (text, reached) => {
  expect(dialReadings(parseAddress(text)!).map((address) => address.text)).toEqual(reached);
});
