/** Seeded randomness: splitmix32. The same seed gives the same faults and the same consumption, for ever. */
export type Random = () => number;

const mix = (input: number): number => {
  let z = input | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
};

/** A number in [0, 1) that depends only on its arguments. */
export function hashed(...parts: number[]): number {
  let state = 0x9e3779b9;
  for (const part of parts) state = mix((state + Math.imul(part | 0, 0x85ebca6b) + 0x9e3779b9) | 0);
  return state / 2 ** 32;
}

export function seeded(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state) / 2 ** 32;
  };
}
