import {
  type Address,
  type AddressRange,
  addressOf,
  ipv4Bytes,
  isInRange,
  parseAddress,
  parseRange,
} from "./address.ts";

/** Where an IPv6 address may hold an IPv4 address: translators and tunnels carry a connection to that one. */
const EMBEDDINGS: readonly { readonly range: AddressRange; read(bytes: Uint8Array): readonly number[][] }[] =
  [
    // RFC 4291 section 2.5.5.1 (IPv4-compatible, deprecated); :: and ::1 are left out below
    { range: parseRange("::/96")!, read: (bytes) => [[...bytes.subarray(12)]] },
    // RFC 2765 section 2.1 (IPv4-translated)
    { range: parseRange("::ffff:0:0:0/96")!, read: (bytes) => [[...bytes.subarray(12)]] },
    // RFC 6052 section 2.1 (NAT64)
    { range: parseRange("64:ff9b::/96")!, read: (bytes) => [[...bytes.subarray(12)]] },
    // RFC 3056 section 2 (6to4)
    { range: parseRange("2002::/16")!, read: (bytes) => [[...bytes.subarray(2, 6)]] },
    // RFC 4380 section 4 (Teredo): the server, and the client with all bits turned
    {
      range: parseRange("2001::/32")!,
      read: (bytes) => [[...bytes.subarray(4, 8)], [...bytes.subarray(12)].map((byte) => byte ^ 255)],
    },
  ];

const IPV4_WILDCARD: Address = parseAddress("0.0.0.0")!;
const IPV6_WILDCARD: Address = parseAddress("::")!;
const IPV4_LOOPBACK: Address = parseAddress("127.0.0.1")!;
const IPV6_LOOPBACK: Address = parseAddress("::1")!;

/** 0.0.0.0 or `::`: a listener there is one on every address. */
export function isWildcard(address: Address): boolean {
  return address.text === IPV4_WILDCARD.text || address.text === IPV6_WILDCARD.text;
}

/**
 * All addresses that dialing this one may reach, itself first: also the IPv4 addresses that it holds, and for 0.0.0.0
 * and `::` the machine itself, since that is where Linux goes then. Whoever may not reach one of them may not dial it.
 */
export function dialReadings(address: Address): Address[] {
  switch (address.text) {
    case IPV4_WILDCARD.text:
      return [address, IPV4_LOOPBACK];
    case IPV6_WILDCARD.text:
      return [address, IPV6_LOOPBACK, IPV4_LOOPBACK];
    case IPV6_LOOPBACK.text:
      return [address];
    default: {
      const embedding = EMBEDDINGS.find(({ range }) => isInRange(address, range));
      const held = embedding?.read(address.bytes) ?? [];
      return [address, ...held.map((four) => addressOf(ipv4Bytes(four)))];
    }
  }
}
