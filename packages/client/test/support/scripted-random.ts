/** A random source that gives these numbers in turn, and fails when it is asked for more. */
export function scriptedRandom(...numbers: number[]): () => number {
  const left = [...numbers];
  return () => {
    const next = left.shift();
    if (next === undefined) throw new Error("the scripted random numbers are used up");
    return next;
  };
}
