/** Why a text is no rule, no grant, no user; becomes a CulvertError where the name of the file or option is known. */
export class PolicyFault extends Error {
  override readonly name: string = "PolicyFault";
}
