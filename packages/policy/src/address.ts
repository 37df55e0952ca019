import { canonicalIpv6, ipv6Groups } from "@culvert/protocol";

/**
 * An IP address as 16 bytes, so that every spelling of it is one value: IPv4 stands at its place in ::ffff:0:0/96
 * (RFC 4291 section 2.5.5.2), and an address that is written that way is the IPv4 address.
 */
export interface Address {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** Canonical: four decimal numbers, or as RFC 5952 writes IPv6, without brackets. */
  readonly text: string;
}

/** All addresses of one family that share their first bits. A single address is a range of all its bits. */
export interface AddressRange {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
  /** Bits that count, 0 to 128, within the 16 bytes: 96 more than is written for IPv4. */
  readonly bits: number;
}

const IPV4_PREFIX_BITS = 96;

/**
 * Reads a canonical IPv4 or an IPv6 address without brackets. Undefined for everything else: names, zones (`fe80::1%lo`),
 * and the old forms of IPv4 (`127.1`, `0x7f.1`, `2130706433`), in which one address would wear many faces.
 */
export function parseAddress(text: string): Address | undefined {
  // The longest is 0000:0000:0000:0000:0000:ffff:255.255.255.255.
  if (text.length > 45) return undefined;
  if (text.includes(":")) {
    const groups = ipv6Groups(text);
    return groups === undefined ? undefined : addressOf(groups.flatMap((group) => [group >> 8, group & 255]));
  }
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every(isDecimalByte)) return undefined;
  return addressOf(ipv4Bytes(parts.map(Number)));
}

/** The address with these 16 bytes. */
export function addressOf(numbers: readonly number[]): Address {
  const bytes = Uint8Array.from(numbers);
  const isIpv4 = isSamePrefix(bytes, MAPPED, IPV4_PREFIX_BITS);
  if (isIpv4) return { family: 4, bytes, text: bytes.subarray(12).join(".") };
  const groups = Array.from({ length: 8 }, (_, at) =>
    (bytes[2 * at]! * 256 + bytes[2 * at + 1]!).toString(16),
  );
  return { family: 6, bytes, text: canonicalIpv6(groups.join(":")) };
}

/** The 16 bytes of an IPv4 address. */
export function ipv4Bytes(four: readonly number[]): number[] {
  return [...MAPPED.subarray(0, 12), ...four];
}

/**
 * Reads `10.0.0.0/8`, `fd00::/8` or a single address, without brackets; the texts are our own or were looked through by
 * {@link ./host-pattern.ts}. Undefined where it is none, also where bits behind the prefix are set.
 */
export function parseRange(text: string): AddressRange | undefined {
  const [host, prefix, ...more] = text.split("/");
  const address = parseAddress(host!);
  if (address === undefined || more.length > 0) return undefined;
  const bits = prefix === undefined ? 128 : prefixBits(prefix, address.family);
  if (bits === undefined) return undefined;
  const { family, bytes } = address;
  return isSamePrefix(bytes, maskedBytes(bytes, bits), 128) ? { family, bytes, bits } : undefined;
}

/** That one address and no other. */
export function singleRange({ family, bytes }: Address): AddressRange {
  return { family, bytes, bits: 128 };
}

/** The bits of a written prefix length within the 16 bytes, or undefined. */
export function prefixBits(text: string, family: 4 | 6): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const bits = Number(text) + (family === 4 ? IPV4_PREFIX_BITS : 0);
  return bits <= 128 ? bits : undefined;
}

/** `10.0.0.0/8`; a single address without its length. */
export function formatRange(range: AddressRange): string {
  const { text } = addressOf([...range.bytes]);
  if (range.bits === 128) return text;
  return `${text}/${range.family === 4 ? range.bits - IPV4_PREFIX_BITS : range.bits}`;
}

/** The first `bits` as they are, the others 0. */
export function maskedBytes(bytes: Uint8Array, bits: number): Uint8Array {
  return bytes.map((byte, at) => byte & (0xff00 >> Math.min(Math.max(bits - 8 * at, 0), 8)));
}

export function isInRange(address: Address, range: AddressRange): boolean {
  return address.family === range.family && isSamePrefix(address.bytes, range.bytes, range.bits);
}

/** Does `inner` lie wholly inside `outer`? */
export function isRangeInside(inner: AddressRange, outer: AddressRange): boolean {
  if (inner.family !== outer.family || inner.bits < outer.bits) return false;
  return isSamePrefix(inner.bytes, outer.bytes, outer.bits);
}

function isSamePrefix(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let at = 0; at < whole; at += 1) if (a[at] !== b[at]) return false;
  const rest = bits & 7;
  return rest === 0 || (a[whole]! ^ b[whole]!) >> (8 - rest) === 0;
}

function isDecimalByte(text: string): boolean {
  return /^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255;
}

/** ::ffff:0:0 */
const MAPPED: Uint8Array = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]);
