/**
 * Refuses keys that nobody reads: a misspelt fault would otherwise test nothing and pass.
 * @throws TypeError naming `what` and the key.
 */
export function checkKeys(what: string, value: object, known: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new TypeError(`${what} has no option "${key}"`);
  }
}

/**
 * Returns `value` if it is a finite number from `min` to `max`.
 * @throws RangeError naming `what` and the bounds.
 */
export function checkNumber(
  what: string,
  value: unknown,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    throw new RangeError(`${what} must be a number from ${min} to ${max}, not ${String(value)}`);
  }
  return value;
}

/**
 * Returns `value` if it is an integer from `min` to `max`.
 * @throws RangeError naming `what` and the bounds.
 */
export function checkInteger(
  what: string,
  value: unknown,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  const number = checkNumber(what, value, min, max);
  if (!Number.isInteger(number)) throw new RangeError(`${what} must be a whole number, not ${number}`);
  return number;
}

/**
 * Returns `value` if it is one of `known`.
 * @throws TypeError naming `what` and what is known.
 */
export function checkOneOf<T extends string>(what: string, value: T, known: readonly T[]): T {
  if (!known.includes(value))
    throw new TypeError(`${what} must be one of ${known.join(", ")}, not ${String(value)}`);
  return value;
}
