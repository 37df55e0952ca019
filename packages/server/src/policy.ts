import { CulvertError, checkTarget, type Endpoint, type ErrorCode, parseEndpoint } from "@culvert/protocol";

/** What an authenticated client asks for. */
export interface PolicyRequest {
  /** `listen`: open a listener here; `connect`: dial a target from here. */
  readonly kind: "listen" | "connect";
  readonly owner: string;
  /** The name of the client's session. */
  readonly name: string;
  /** The endpoint as the client wrote it; not yet checked. */
  readonly address: string;
}

export type PolicyVerdict =
  /** Allowed; and this endpoint, no other reading of the text, is what must be listened on or dialed. */
  | { readonly kind: "allow"; readonly endpoint: Endpoint }
  | { readonly kind: "refuse"; readonly code: ErrorCode };

/**
 * Decides each listen request and each stream to dial, one by one; nothing that was announced earlier counts. Today
 * everything well-formed is allowed to who is authenticated.
 */
export function decidePolicy(request: PolicyRequest): PolicyVerdict {
  try {
    const endpoint = parseEndpoint(request.address, request.kind);
    if (request.kind === "connect") checkTarget(endpoint);
    return { kind: "allow", endpoint };
  } catch (error) {
    return { kind: "refuse", code: error instanceof CulvertError ? error.code : "internal_error" };
  }
}
