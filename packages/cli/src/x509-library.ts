export type X509 = typeof import("@peculiar/x509");

let library: Promise<X509> | undefined;

/**
 * The library that makes certificates. Loaded when it is needed: it takes a third of a second, and `culvert server` and
 * `culvert client` never need it.
 */
export function x509(): Promise<X509> {
  library ??= load();
  return library;
}

/**
 * One of its dependencies refuses to load where classes have no metadata of types (the decorators of a former proposal).
 * It asks for metadata while it is loaded, to find what constructors take; those of this library take nothing, so "none" is
 * the right answer for all of them, and no polyfill is needed.
 */
async function load(): Promise<X509> {
  const reflect = Reflect as { getMetadata?: unknown; getOwnMetadata?: unknown };
  if (reflect.getMetadata !== undefined) return await import("@peculiar/x509");
  reflect.getMetadata = none;
  reflect.getOwnMetadata = none;
  try {
    return await import("@peculiar/x509");
  } finally {
    delete reflect.getMetadata;
    delete reflect.getOwnMetadata;
  }
}

function none(): undefined {}
