/** Pruning methods on offer and the options each has. A method is one entry; the side panel draws the form from it. */
import type { BasisOptions, PruneSettings } from '../src/protocol/recipe';
import { strings } from './strings';

export type OptionField<T> =
  | {
      readonly kind: 'select';
      readonly key: keyof T & string;
      readonly label: string;
      readonly help: string;
      readonly options: readonly { readonly value: string; readonly label: string }[];
    }
  | { readonly kind: 'check'; readonly key: keyof T & string; readonly label: string; readonly help: string }
  | {
      readonly kind: 'number';
      readonly key: keyof T & string;
      readonly label: string;
      readonly help: string;
      readonly min: number;
      readonly max: number;
      readonly step: number;
    };

export interface MethodForm {
  readonly id: PruneSettings['method'];
  readonly label: string;
  readonly help: string;
  readonly fields: readonly OptionField<Record<string, unknown>>[];
  /** The method's options in the settings, by field key. */
  readonly read: (settings: PruneSettings) => Readonly<Record<string, unknown>>;
  /** The settings to change when a field gets a value. */
  readonly write: (settings: PruneSettings, key: string, value: unknown) => Partial<PruneSettings>;
}

const { fields } = strings.methods;

const options = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([value, label]) => ({ value, label }));

const basisFields: readonly OptionField<BasisOptions>[] = [
  { kind: 'select', key: 'basis', label: fields.basis, help: fields.basisHelp, options: options(fields.basisOptions) },
  { kind: 'select', key: 'score', label: fields.score, help: fields.scoreHelp, options: options(fields.scoreOptions) },
  {
    kind: 'select',
    key: 'finish',
    label: fields.finish,
    help: fields.finishHelp,
    options: options(fields.finishOptions),
  },
  { kind: 'check', key: 'foldBatchNorm', label: fields.foldBatchNorm, help: '' },
  { kind: 'check', key: 'refit', label: fields.refit, help: fields.refitHelp },
  {
    kind: 'number',
    key: 'breakEven',
    label: fields.breakEven,
    help: fields.breakEvenHelp,
    min: 0.05,
    max: 1,
    step: 0.05,
  },
];

export const methods: readonly MethodForm[] = [
  {
    id: 'basis',
    label: strings.methods.basis,
    help: strings.methods.basisHelp,
    fields: basisFields as readonly OptionField<Record<string, unknown>>[],
    read: (settings) => settings.basis,
    write: (settings, key, value) => ({ basis: { ...settings.basis, [key]: value } }),
  },
];
