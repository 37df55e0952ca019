/**
 * Characters that no name or address may have, because such texts end in logs, on terminals and in lines that scripts
 * read: control characters, line and paragraph separators, and the marks that reorder what is shown (bidi).
 */
export const UNSAFE_TEXT: RegExp = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
