// The protocol is compiled without the types of Node and of browsers, so that no I/O, clock or timer can creep in.
// These two are the only globals beyond ECMAScript that it uses; every runtime has them. Part of the WHATWG Encoding Standard.

interface TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}

declare var TextEncoder: {
  new (): TextEncoder;
};

interface TextDecoder {
  decode(input?: Uint8Array): string;
}

declare var TextDecoder: {
  new (label?: "utf-8", options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder;
};
