import { type Address, type AddressRange, isInRange, isRangeInside, parseRange } from "./address.ts";

/**
 * What an address is for, by the IANA registries of special-purpose addresses (RFC 6890, as updated). A special address is
 * denied even where a wider rule matches: only a rule that names its zone grants it.
 */
export type SpecialZone =
  | "loopback"
  | "link-local"
  | "multicast"
  | "unspecified"
  | "metadata"
  | "reserved"
  | "local translation";

/** What a rule may write in place of a host, besides `own`, which no address shows. */
export type Keyword = "loopback" | "link-local" | "multicast" | "unspecified" | "private" | "public";

const SPECIAL: Readonly<Record<SpecialZone, readonly AddressRange[]>> = {
  // RFC 1122 section 3.2.1.3; RFC 4291 section 2.5.3
  loopback: ranges("127.0.0.0/8", "::1"),
  // RFC 3927, where the metadata service of most clouds is (169.254.169.254); RFC 4291 section 2.5.6
  "link-local": ranges("169.254.0.0/16", "fe80::/10"),
  // RFC 5771; RFC 4291 section 2.7
  multicast: ranges("224.0.0.0/4", "ff00::/8"),
  // RFC 1122 section 3.2.1.3 ("this network"); RFC 4291 section 2.5.2. Dialed, they mean the machine itself.
  unspecified: ranges("0.0.0.0/8", "::"),
  // Metadata services that are not link-local, as their clouds document them: AWS over IPv6, Google over IPv6, Alibaba, Azure.
  metadata: ranges("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"),
  // RFC 1112 section 4; with it 255.255.255.255, RFC 919 section 7
  reserved: ranges("240.0.0.0/4"),
  // RFC 8215: a translator of the site, to whatever IPv4 address; where that stands in the address only the site knows.
  "local translation": ranges("64:ff9b:1::/48"),
};

/** RFC 1918, RFC 6598 (shared address space of carriers), RFC 4193 (ULA), RFC 3879 (site-local, deprecated). */
const PRIVATE = ranges(
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
  "fec0::/10",
);

/** Neither special nor private, and yet not globally reachable: protocol assignments, documentation, benchmarks, discard. */
const NOT_GLOBAL = [
  ...ranges(
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
  ),
  ...ranges("2001:2::/48", "2001:10::/28", "2001:db8::/32", "3fff::/20"),
];

/** Global unicast (RFC 4291 section 2.4, as IANA hands it out) and the translators' well-known prefix (RFC 6052). */
const GLOBAL_IPV6 = ranges("2000::/3", "64:ff9b::/96");

/** Undefined for an address that is nothing special. */
export function specialZoneOf(address: Address): SpecialZone | undefined {
  return ZONES.find((zone) => isInAny(address, SPECIAL[zone]));
}

/** The zone that the whole range lies in, if there is one: who writes such a range means the zone. */
export function zoneNamedBy(range: AddressRange): SpecialZone | undefined {
  return ZONES.find((zone) => SPECIAL[zone].some((outer) => isRangeInside(range, outer)));
}

export function isKeywordFor(keyword: Keyword, address: Address): boolean {
  if (keyword === "private") return isPrivate(address);
  if (keyword === "public") return isPublic(address);
  return isInAny(address, SPECIAL[keyword]);
}

function isPrivate(address: Address): boolean {
  return isInAny(address, PRIVATE);
}

function isPublic(address: Address): boolean {
  if (specialZoneOf(address) !== undefined || isPrivate(address) || isInAny(address, NOT_GLOBAL))
    return false;
  return address.family === 4 || isInAny(address, GLOBAL_IPV6);
}

function isInAny(address: Address, list: readonly AddressRange[]): boolean {
  return list.some((range) => isInRange(address, range));
}

const ZONES = Object.keys(SPECIAL) as SpecialZone[];

function ranges(...texts: string[]): AddressRange[] {
  return texts.map((text) => parseRange(text)!);
}
