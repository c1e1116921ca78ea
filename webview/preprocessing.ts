/** Text fields ⇄ preprocessing overrides. An empty field keeps what was guessed or given. */
import type { Preprocessing } from '../src/protocol/facts';
import type { PreprocessingInput } from '../src/protocol/recipe';

/** "0.485, 0.456, 0.406" → numbers; null when it is not a list of 1 to 4 numbers. */
export function parseNumbers(text: string): number[] | null {
  const parts = text.split(/[,;\s]+/).filter(Boolean);
  const values = parts.map(Number);
  return values.length >= 1 && values.length <= 4 && values.every(Number.isFinite) ? values : null;
}

/** "224 × 224" or "224" (a square) → [height, width]; null when it is neither. */
export function parseSize(text: string): [number, number] | null {
  const match = /^\s*(\d{1,5})\s*(?:[×x*, ]\s*(\d{1,5})\s*)?$/i.exec(text);
  if (match === null) return null;
  const height = Number(match[1]);
  const width = Number(match[2] ?? match[1]);
  const fits = (side: number) => side >= 1 && side <= 16384;
  return fits(height) && fits(width) ? [height, width] : null;
}

export function formatSize(size: readonly [number, number] | null | undefined): string {
  return size == null ? '' : `${size[0]} × ${size[1]}`;
}

export function formatNumbers(values: readonly number[] | undefined): string {
  return values?.map((value) => Number(value.toPrecision(6))).join(', ') ?? '';
}

/** The overrides with one field set, or given back to the guess with null; undefined when none is left. */
export function withField<K extends keyof Preprocessing>(
  current: PreprocessingInput | undefined,
  key: K,
  value: PreprocessingInput[K] | null,
): PreprocessingInput | undefined {
  const { [key]: _, ...others } = current ?? {};
  const next = value === null ? others : { ...others, [key]: value };
  return Object.keys(next).length === 0 ? undefined : (next as PreprocessingInput);
}
