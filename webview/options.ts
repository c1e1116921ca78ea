/**
 * Options of methods and of training as form fields, derived from their JSON schema: type, range, default, choices and
 * help. A new option of the recipe has a field without a line of code here; labels and units can be added in strings.ts.
 */

/** What is read of a property's JSON schema (draft 7). */
export interface PropertySchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly properties?: Readonly<Record<string, PropertySchema>>;
  readonly items?: unknown;
}

/** An object schema, as `schemas/prune.schema.json` has it under `training` and under each method's name. */
export interface OptionsSchema {
  readonly properties: Readonly<Record<string, PropertySchema>>;
}

/** Words for one option; what is missing comes from its key and its description. */
export interface OptionWords {
  readonly label?: string;
  /** Shown after the label. */
  readonly unit?: string;
  readonly help?: string;
  /** Labels of choices, by value. */
  readonly choices?: Readonly<Record<string, string>>;
  /** What leaving it out means, for an option without a default. */
  readonly leftOut?: string;
}

/** By path: `lr`, `augment.crop`. */
export type OptionsWords = Readonly<Record<string, OptionWords>>;

/** An option's keys from the outside in. */
export type OptionPath = readonly string[];
export type OptionValue = string | number | boolean | readonly (string | number)[];
export type OptionValues = Readonly<Record<string, unknown>>;

interface Common {
  readonly path: OptionPath;
  readonly label: string;
  readonly help: string;
}

export type OptionField =
  | (Common & {
      readonly kind: 'choice';
      readonly choices: readonly { readonly value: OptionValue; readonly label: string }[];
      readonly standard: OptionValue | undefined;
      readonly leftOut: string;
    })
  | (Common & { readonly kind: 'switch'; readonly standard: boolean })
  | (Common & { readonly kind: 'text'; readonly standard: string | undefined; readonly leftOut: string })
  /** Texts or numbers, one on a line. */
  | (Common & { readonly kind: 'list'; readonly standard: readonly (string | number)[]; readonly ofNumbers: boolean })
  | (Common & {
      readonly kind: 'number';
      readonly unit: string;
      readonly isInteger: boolean;
      readonly range: NumberRange;
      readonly standard: number | undefined;
      readonly leftOut: string;
    });

export interface NumberRange {
  readonly low: number;
  readonly high: number;
  /** Whether the ends themselves are allowed. */
  readonly withLow: boolean;
  readonly withHigh: boolean;
}

/** Fields in the schema's order. What has no form of its own (unions, lists of lists) is left to the recipe file. */
export function optionFields({ properties }: OptionsSchema, words: OptionsWords = {}): readonly OptionField[] {
  return fieldsOf(properties, words, []);
}

function fieldsOf(
  properties: OptionsSchema['properties'],
  words: OptionsWords,
  parents: OptionPath,
): readonly OptionField[] {
  return Object.entries(properties).flatMap(([key, property]): readonly OptionField[] => {
    const path = [...parents, key];
    if (property.properties !== undefined) return fieldsOf(property.properties, words, path);
    const own = words[path.join('.')] ?? {};
    const common = {
      path,
      label: own.label ?? humanised(key),
      help: own.help ?? property.description ?? '',
      leftOut: own.leftOut ?? 'automatic',
    };
    if (property.enum !== undefined) {
      const choices = property.enum.map((value) => ({ value, label: own.choices?.[value] ?? humanised(value) }));
      return [{ ...common, kind: 'choice', choices, standard: property.default as string | undefined }];
    }
    switch (property.type) {
      case 'boolean': {
        if (typeof property.default === 'boolean') return [{ ...common, kind: 'switch', standard: property.default }];
        const choices = [
          { value: true, label: own.choices?.true ?? 'on' },
          { value: false, label: own.choices?.false ?? 'off' },
        ];
        return [{ ...common, kind: 'choice', choices, standard: undefined }];
      }
      case 'integer':
      case 'number':
        return [
          {
            ...common,
            kind: 'number',
            unit: own.unit ?? '',
            isInteger: property.type === 'integer',
            range: rangeOf(property),
            standard: property.default as number | undefined,
          },
        ];
      case 'string':
        return [{ ...common, kind: 'text', standard: property.default as string | undefined }];
      case 'array': {
        const type = typeOf(property.items);
        const standard = (property.default as readonly (string | number)[] | undefined) ?? [];
        if (type !== 'string' && type !== 'number') return [];
        return [{ ...common, kind: 'list', standard, ofNumbers: type === 'number' }];
      }
      default:
        return [];
    }
  });
}

function typeOf(items: unknown): unknown {
  return typeof items === 'object' && items !== null && 'type' in items ? items.type : undefined;
}

function rangeOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: PropertySchema): NumberRange {
  // JSON schemas made from integers name the largest exact one; that is no limit to tell people about.
  const high = exclusiveMaximum ?? maximum ?? Number.POSITIVE_INFINITY;
  return {
    low: exclusiveMinimum ?? minimum ?? Number.NEGATIVE_INFINITY,
    high: high >= Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : high,
    withLow: exclusiveMinimum === undefined,
    withHigh: exclusiveMaximum === undefined,
  };
}

/** `weightDecay` → "Weight decay", `two-layers` → "Two layers". */
export function humanised(key: string): string {
  const words = key
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/[-_]/g, ' ')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Every option that has a default, at it. */
export function standardValues(schema: OptionsSchema): OptionValues {
  return optionFields(schema).reduce<OptionValues>((values, { path, ...field }) => {
    const standard = 'standard' in field ? field.standard : undefined;
    return standard === undefined ? values : withValue(values, path, standard);
  }, {});
}

export function valueAt(values: OptionValues, path: OptionPath): OptionValue | undefined {
  return path.reduce<unknown>((value, key) => (value as OptionValues | undefined)?.[key], values) as
    | OptionValue
    | undefined;
}

export function isSameValue(a: OptionValue | undefined, b: OptionValue | undefined): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

/** Lines of text as a list: trimmed, without empty ones and repetitions. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  return [...new Set(lines.filter(Boolean))];
}

/** Lines as numbers, rising; null when one is none. The host checks their range. */
export function numbersOf(text: string): number[] | null {
  const numbers = linesOf(text.replaceAll(/[,;]/g, '\n')).map(Number);
  return numbers.every(Number.isFinite) ? numbers.sort((a, b) => a - b) : null;
}

/** The values with one replaced; undefined drops it, so that its default holds. */
export function withValue(
  values: OptionValues,
  [key, ...rest]: OptionPath,
  value: OptionValue | undefined,
): OptionValues {
  if (rest.length > 0)
    return { ...values, [key]: withValue((values[key] as OptionValues | undefined) ?? {}, rest, value) };
  const { [key]: _, ...others } = values;
  return value === undefined ? others : { ...others, [key]: value };
}

export type CheckedNumber = { readonly value: number | undefined } | { readonly problem: 'number' | 'whole' | 'range' };

/** What was typed into a number's field; empty means the default. */
export function checkNumber(
  { isInteger, range }: Extract<OptionField, { kind: 'number' }>,
  text: string,
): CheckedNumber {
  const typed = text.trim();
  if (typed === '') return { value: undefined };
  const value = Number(typed);
  if (!Number.isFinite(value)) return { problem: 'number' };
  if (isInteger && !Number.isInteger(value)) return { problem: 'whole' };
  const { low, high, withLow, withHigh } = range;
  const isLow = withLow ? value < low : value <= low;
  const isHigh = withHigh ? value > high : value >= high;
  return isLow || isHigh ? { problem: 'range' } : { value };
}
