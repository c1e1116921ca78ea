/** Axes: mapping values to pixels, round tick values, and binning when there are more bars than pixels. */

/** Maps a value to a pixel. */
export type Scale = (value: number) => number;

/** Plot area in pixels, inside the chart's margins. */
export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export function plotArea(
  size: { width: number; height: number },
  margin: { left: number; right: number; top: number; bottom: number },
): Area {
  return {
    left: margin.left,
    right: Math.max(margin.left + 1, size.width - margin.right),
    top: margin.top,
    bottom: Math.max(margin.top + 1, size.height - margin.bottom),
  };
}

export function linearScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const span = domain[1] - domain[0] || 1;
  return (value) => range[0] + ((value - domain[0]) / span) * (range[1] - range[0]);
}

/** Values at or below the domain's lower end land on it; the domain must be positive. */
export function logScale(domain: readonly [number, number], range: readonly [number, number]): Scale {
  const low = Math.log10(domain[0]);
  const span = Math.log10(domain[1]) - low || 1;
  return (value) => {
    const position = value <= domain[0] ? 0 : (Math.log10(value) - low) / span;
    return range[0] + position * (range[1] - range[0]);
  };
}

/** About `wanted` multiples of 1, 2 or 5 × 10ⁿ within [low, high]. */
export function linearTicks(low: number, high: number, wanted: number): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, wanted);
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = magnitude * ([1, 2, 5, 10].find((factor) => factor * magnitude >= rough) ?? 10);
  const ticks: number[] = [];
  // Multiplying instead of adding keeps 0.3 from becoming 0.30000000000000004.
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-12) + 1e-300; i++) {
    ticks.push(Number((i * step).toPrecision(12)));
  }
  return ticks;
}

/** Powers of ten within [low, high]; with 2 and 5 between them where there are few. At most about `wanted`. */
export function logTicks(low: number, high: number, wanted: number): number[] {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const decades = Math.log10(high / low);
  const factors = decades * 3 <= wanted ? [1, 2, 5] : [1];
  const stride = factors.length > 1 ? 1 : Math.max(1, Math.ceil(decades / wanted));
  const ticks: number[] = [];
  for (let exponent = first; exponent <= last; exponent++) {
    if ((exponent - first) % stride !== 0) continue;
    for (const factor of factors) {
      const tick = Number(`${factor}e${exponent}`);
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  // Less than a decade without a round value in it.
  return ticks.length < 2 && decades < 1 ? linearTicks(low, high, wanted) : ticks;
}

/** Consecutive items that share one bar. */
export interface Bin {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** Splits `length` items into at most `limit` runs of equal size (the last may be shorter). */
export function bins(length: number, limit: number): Bin[] {
  const size = Math.max(1, Math.ceil(length / Math.max(1, limit)));
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => ({
    start: i * size,
    end: Math.min(length, (i + 1) * size),
  }));
}

/** Indices of at most `limit` items spread evenly over `length`, first and last among them. */
export function sample(length: number, limit: number): number[] {
  if (length <= limit) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: limit }, (_, i) => Math.round((i * (length - 1)) / (limit - 1)));
}

/** One decimal is a tenth of a pixel; more would only make the page larger. */
export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Points of a polyline. */
export function points(xy: Iterable<readonly [number, number]>): string {
  return Array.from(xy, ([x, y]) => `${px(x)},${px(y)}`).join(' ');
}

/** A name in so many letters, at most: its end tells layers and groups apart better than its start. */
export function shortened(name: string, letters: number): string {
  return name.length <= letters ? name : `…${name.slice(1 - letters)}`;
}
