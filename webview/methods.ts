/** Methods on offer and their options, as the recipe's schema has them; strings.ts has better words where there are any. */
import { properties } from '../schemas/prune.schema.json';
import type { PruneSettings } from '../src/protocol/recipe';
import { humanised, type OptionsSchema, type OptionsWords, type OptionValues, type PropertySchema } from './options';
import { strings } from './strings';

export type MethodId = PruneSettings['method'];

export interface Method {
  readonly id: MethodId;
  readonly label: string;
  readonly help: string;
  /** null for a method without options. */
  readonly schema: OptionsSchema | null;
  readonly words: OptionsWords;
  /** Options shown first; null for all. */
  readonly first: readonly string[] | null;
}

interface MethodWords {
  readonly label: string;
  readonly help: string;
  readonly first: readonly string[];
  readonly options: OptionsWords;
}

const schemas: Readonly<Record<string, PropertySchema>> = properties;
const words: Readonly<Record<string, MethodWords>> = strings.methods;

/** A method's options are under its own name, in the schema as in the settings. */
export const methods: readonly Method[] = properties.method.enum.map((id): Method => {
  const own = words[id];
  const options = schemas[id]?.properties;
  return {
    id: id as MethodId,
    label: own?.label ?? humanised(id),
    help: own?.help ?? '',
    schema: options === undefined ? null : { properties: options },
    words: own?.options ?? {},
    first: own?.first ?? null,
  };
});

export function methodOptions(settings: PruneSettings, id: MethodId): OptionValues {
  return (settings as unknown as Readonly<Record<string, OptionValues>>)[id] ?? {};
}

/** Options that a ticket leaves nothing to do for. */
const replacedByTicket: ReadonlySet<string> = new Set(['keep', 'momentum', 'weightDecay', 'nesterov', 'epochsAfter']);

/** A method's options that change nothing, given the others. */
export function withoutMeaningOf(settings: PruneSettings, id: MethodId): ReadonlySet<string> {
  return id === 'gsm' && settings.gsm.ticket !== undefined ? replacedByTicket : new Set();
}

/** The change that gives a method these options; the host validates them. */
export function withMethodOptions(id: MethodId, options: OptionValues): Partial<PruneSettings> {
  return { [id]: options } as Partial<PruneSettings>;
}

export const trainingSchema: OptionsSchema = properties.training;
export const transferSchema: OptionsSchema = properties.transfer;
