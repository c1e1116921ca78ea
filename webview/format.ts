/**
 * Numbers as people read them: SI prefixes, three significant digits, a no-break space before the unit.
 * The one place that decides on precision. English, like the rest of the product, so that a decimal comma never
 * meets an English sentence.
 */

const locale = 'en-US';
const space = '\u00a0';
const minus = '\u2212';
/** Shown where a number is unknown. */
export const unknown = '–';

const threeDigits = new Intl.NumberFormat(locale, { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const upToThreeDigits = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const twoDecimals = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const prefixes = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** A number with a proper minus sign. */
function signed(text: string): string {
  return text.replace('-', minus);
}

/** Scales by powers of 1000 so that rounding never shows "1,000 k". */
function withPrefix(value: number, unit: string): string {
  let scaled = Math.abs(value);
  let step = 0;
  while (step < prefixes.length - 1 && Number(scaled.toPrecision(3)) >= 1000) {
    scaled /= 1000;
    step++;
  }
  const digits = step === 0 ? upToThreeDigits.format(scaled) : threeDigits.format(scaled);
  const suffix = `${prefixes[step]}${unit}`;
  return `${value < 0 ? minus : ''}${digits}${suffix === '' ? '' : space + suffix}`;
}

/** 2359296 → "2.36 M"; whole numbers below 1000 as they are; "–" for null. */
export function count(value: number | null): string {
  return value === null ? unknown : withPrefix(value, '');
}

/** Bytes with decimal prefixes, as file managers and ONNX tools show them: 1121334 → "1.12 MB". */
export function bytes(value: number | null): string {
  return value === null ? unknown : withPrefix(value, 'B');
}

/** Every digit: 270896 → "270,896". For titles and tables where the exact number matters. */
export function exact(value: number | null): string {
  return value === null ? unknown : signed(whole.format(value));
}

/** A real quantity: three significant digits, scientific outside 0.001 to 99,999. */
export function real(value: number | null): string {
  if (value === null || Number.isNaN(value)) return unknown;
  if (!Number.isFinite(value)) return value > 0 ? '∞' : `${minus}∞`;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 99_999.5)) return signed(value.toExponential(2));
  if (size === 0) return '0';
  return signed(size >= 999.5 ? whole.format(value) : threeDigits.format(value));
}

/** A share as percent with one decimal: 0.4632 → "46.3 %". What is not quite 0 or 100 % never reads as such. */
export function percent(share: number | null): string {
  if (share === null || Number.isNaN(share)) return unknown;
  const value = share * 100;
  if (value > 0 && value < 0.05) return `<${space}0.1${space}%`;
  if (value < 100 && value >= 99.95) return `>${space}99.9${space}%`;
  return `${value === 0 || value === 100 ? value : signed(oneDecimal.format(value))}${space}%`;
}

/** Progress: 0.4361 → "43 %", so that 100 % is only shown at the end. */
export function progressPercent(share: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, share)) * 100)}${space}%`;
}

/** The change from before to after in percent with a sign: "−46.2 %", "+3.1 %", "±0 %"; "–" when unknown. */
export function change(before: number | null, after: number | null): string {
  if (before === null || after === null || before === 0) return unknown;
  if (before === after) return `±0${space}%`;
  const share = (after - before) / before;
  return `${share < 0 ? minus : '+'}${percent(Math.abs(share))}`;
}

/** The difference of two shares in percentage points with a sign: "−9.8 points". */
export function points(before: number, after: number): string {
  const difference = (after - before) * 100;
  const size = Math.abs(difference);
  if (size < 0.005) return `±0${space}points`;
  const text = size < 1 ? twoDecimals.format(size) : oneDecimal.format(size);
  return `${difference < 0 ? minus : '+'}${text}${space}points`;
}

/** A time given in milliseconds, in the unit that suits: "34 µs", "1.84 ms", "2.5 s". */
export function milliseconds(value: number | null): string {
  if (value === null) return unknown;
  const size = Math.abs(value);
  if (size !== 0 && Number((size * 1000).toPrecision(3)) < 100)
    return `${upToThreeDigits.format(value * 1000)}${space}µs`;
  if (Number(size.toPrecision(3)) >= 1000) return `${upToThreeDigits.format(value / 1000)}${space}s`;
  return `${upToThreeDigits.format(value)}${space}ms`;
}

/** Elapsed seconds: "8 s", "2:05 min", "1:02:05 h". */
export function elapsed(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  const pad = (value: number) => String(value).padStart(2, '0');
  if (total < 60) return `${total}${space}s`;
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes}:${pad(total % 60)}${space}min`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(total % 60)}${space}h`;
}

const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** Milliseconds since 1970 as local date and time: "17 May 2026, 09:07". */
export function dateTime(time: number): string {
  return moment.format(time);
}

/** How long something takes, as one says it: "0.21 s", "45 s", "4 min", "1 h 20 min". */
export function duration(seconds: number): string {
  if (seconds < 59.5) return milliseconds(seconds < 10 ? seconds * 1000 : Math.round(seconds) * 1000);
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}${space}min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)}${space}h${rest === 0 ? '' : `${space}${rest}${space}min`}`;
}

/** A figure without trailing zeros, for axes: "5.00 M" → "5 M". */
export function round(text: string): string {
  return text.replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '');
}

/** A factor: 1.6 → "1.60×". */
export function factor(value: number | null): string {
  return value === null || !Number.isFinite(value) ? unknown : `${threeDigits.format(value)}×`;
}

/** Dimensions: [16, 3, 3, 3] → "16×3×3×3"; names stay; a free dimension without a name is "?". */
export function shape(dims: readonly (number | string)[] | null): string {
  if (dims === null) return unknown;
  if (dims.length === 0) return 'scalar';
  return dims.map((dim) => (dim === '' ? '?' : String(dim))).join('×');
}

/** "1 layer", "20 layers", "20,000 layers". */
export function plural(value: number, one: string, many: string): string {
  return `${whole.format(value)} ${value === 1 ? one : many}`;
}
