/** Forms from schemas: every option of the recipe's training and methods, and laws of the derivation. */
import { describe, expect, test } from 'vitest';
import { headTraining } from '../../src/engine/transfer';
import {
  basisOptionsSchema,
  type GsmOptions,
  type PruneSettings,
  type ResRepOptions,
  type TrainingSettings,
  trainingSchema as trainingRules,
  transferSchema,
} from '../../src/protocol/recipe';
import { takesTarget } from '../../src/settings/methods';
import { methodOptions, methods, trainingSchema, withoutMeaningOf } from '../../webview/methods';
import {
  checkNumber,
  humanised,
  isSameValue,
  linesOf,
  numbersOf,
  type OptionField,
  type OptionsSchema,
  optionFields,
  standardValues,
  valueAt,
  withValue,
} from '../../webview/options';
import { strings } from '../../webview/strings';
import { trainingOf, withoutMeaning } from '../../webview/training';
import { settings } from './preview/states';

type NumberField = Extract<OptionField, { kind: 'number' }>;

const numberField = (property: object): NumberField => {
  const [field] = optionFields({ properties: { x: property } });
  if (field?.kind !== 'number') throw new Error('This is a number’s schema.');
  return field;
};

describe('fields of a schema', () => {
  const schema: OptionsSchema = {
    properties: {
      strength: { type: 'number', exclusiveMinimum: 0, maximum: 1, default: 0.5, description: 'How much.' },
      maskEvery: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
      criterion: { type: 'string', enum: ['l1', 'batch-norm'], default: 'l1' },
      globalMask: { type: 'boolean', default: true },
      flip: { type: 'boolean' },
      inner: { type: 'object', properties: { depth: { type: 'integer', default: 2 } } },
      list: { type: 'array', items: { type: 'string' }, default: [] },
      numbers: { type: 'array', items: { type: 'number' }, default: [0.5] },
      pairs: { type: 'array', items: { type: 'array' } },
    },
  };

  test('have kind, range, default and words, in its order', () => {
    expect(optionFields(schema, { criterion: { label: 'Judged by', choices: { l1: 'L1 norm' } } })).toMatchObject([
      {
        path: ['strength'],
        kind: 'number',
        label: 'Strength',
        help: 'How much.',
        isInteger: false,
        standard: 0.5,
        range: { low: 0, high: 1, withLow: false, withHigh: true },
      },
      { path: ['maskEvery'], label: 'Mask every', isInteger: true, range: { low: 1, high: Number.POSITIVE_INFINITY } },
      {
        path: ['criterion'],
        kind: 'choice',
        label: 'Judged by',
        choices: [
          { value: 'l1', label: 'L1 norm' },
          { value: 'batch-norm', label: 'Batch norm' },
        ],
        standard: 'l1',
      },
      { path: ['globalMask'], kind: 'switch', standard: true },
      { path: ['flip'], kind: 'choice', standard: undefined },
      { path: ['inner', 'depth'], kind: 'number', standard: 2 },
      { path: ['list'], kind: 'list', standard: [], ofNumbers: false },
      { path: ['numbers'], kind: 'list', standard: [0.5], ofNumbers: true },
    ]);
  });

  test('every option of training and of every method has one', () => {
    const leaves = (properties: OptionsSchema['properties']): string[] =>
      Object.entries(properties).flatMap(([key, value]) =>
        value.properties ? leaves(value.properties).map((rest) => `${key}.${rest}`) : [key],
      );
    const named = (schema: OptionsSchema) => optionFields(schema).map(({ path }) => path.join('.'));
    expect(named(trainingSchema)).toEqual(leaves(trainingSchema.properties));
    for (const { schema } of methods) if (schema) expect(named(schema)).toEqual(leaves(schema.properties));
    expect(named(trainingSchema)).toContain('augment.crop');
  });

  test('words are only for options and choices that exist', () => {
    const { options, first } = strings.training;
    for (const form of [{ schema: trainingSchema, words: options, first }, ...methods]) {
      const fields = optionFields(form.schema ?? { properties: {} });
      const known = new Map(fields.map((field) => [field.path.join('.'), field]));
      for (const [key, { choices = {} }] of Object.entries(form.words)) {
        const field = known.get(key);
        expect(field, key).toBeDefined();
        const values = field?.kind === 'choice' ? field.choices.map(({ value }) => String(value)) : [];
        for (const value of Object.keys(choices)) expect(values, key).toContain(value);
      }
      for (const key of form.first ?? []) expect([...known.keys()]).toContain(key);
    }
  });

  test('their defaults are those of the validation', () => {
    expect(trainingRules.parse(standardValues(trainingSchema))).toEqual(trainingRules.parse({}));
    const basis = methods.find(({ id }) => id === 'basis')?.schema as OptionsSchema;
    expect(standardValues(basis)).toEqual(basisOptionsSchema.parse({}));
  });
});

test.each([
  ['weightDecay', 'Weight decay'],
  ['two-layers', 'Two layers'],
  ['lr', 'Lr'],
])('%s reads “%s”', (key, text) => {
  expect(humanised(key)).toBe(text);
});

describe('what was typed', () => {
  const share = numberField({ type: 'number', exclusiveMinimum: 0, maximum: 1, default: 0.5 });
  const amount = numberField({ type: 'integer', minimum: 1 });

  test.each([
    [share, '', { value: undefined }],
    [share, ' 0.25 ', { value: 0.25 }],
    [share, '1e-3', { value: 0.001 }],
    [share, '1', { value: 1 }],
    [share, '0', { problem: 'range' }],
    [share, '1.1', { problem: 'range' }],
    [share, 'half', { problem: 'number' }],
    [share, 'Infinity', { problem: 'number' }],
    [amount, '12', { value: 12 }],
    [amount, '0', { problem: 'range' }],
    [amount, '1.5', { problem: 'whole' }],
  ])('%# "%s"', (field, text, expected) => {
    expect(checkNumber(field, text)).toEqual(expected);
  });

  test('the reason names the range', () => {
    const { range } = strings.options.problems;
    expect(range(share.range)).toBe('More than 0, at most 1.');
    expect(range(amount.range)).toBe('At least 1.');
  });

  test('is refused where the validation refuses it', () => {
    for (const field of optionFields(trainingSchema)) {
      if (field.kind !== 'number') continue;
      for (const value of [-1, 0, 0.5, 1, 2, 1e5, 1e12]) {
        const accepted = 'value' in checkNumber(field, String(value));
        const values = withValue({}, field.path, value);
        expect(trainingRules.safeParse(values).success, `${field.path.join('.')} = ${value}`).toBe(accepted);
      }
    }
  });
});

describe('values', () => {
  test('are replaced and dropped without touching the others', () => {
    const before = { lr: 0.1, augment: { crop: 4 } };
    const after = withValue(before, ['augment', 'flip'], true);
    expect(after).toEqual({ lr: 0.1, augment: { crop: 4, flip: true } });
    expect(withValue(after, ['augment', 'crop'], undefined)).toEqual({ lr: 0.1, augment: { flip: true } });
    expect(before).toEqual({ lr: 0.1, augment: { crop: 4 } });
    expect(valueAt(after, ['augment', 'flip'])).toBe(true);
    expect(valueAt(after, ['nothing', 'here'])).toBeUndefined();
  });

  test('of lists are compared by what they hold, and typed one on a line', () => {
    expect(isSameValue(['a', 'b'], ['a', 'b'])).toBe(true);
    expect(isSameValue(['a'], ['b'])).toBe(false);
    expect(isSameValue([], undefined)).toBe(false);
    expect(isSameValue(0.5, 0.5)).toBe(true);
    expect(linesOf(' conv1\n\nhead*\nconv1 ')).toEqual(['conv1', 'head*']);
  });

  test('of numbers are rising, however they are written; what is none is refused', () => {
    expect(numbersOf('0.75\n0.5, 0.6')).toEqual([0.5, 0.6, 0.75]);
    expect(numbersOf('')).toEqual([]);
    expect(numbersOf('0.5\nhalf')).toBeNull();
  });

  test('of a method lie under its name', () => {
    expect(methodOptions(settings, 'basis')).toBe(settings.basis);
  });
});

describe('options without meaning', () => {
  const training = trainingRules.parse({ epochs: 3 });
  type Change = Partial<Omit<PruneSettings, 'training' | 'gsm' | 'resrep'>> & {
    readonly training?: Partial<TrainingSettings>;
    readonly gsm?: Partial<GsmOptions>;
    readonly resrep?: Partial<ResRepOptions>;
  };
  const hiddenBy = ({ training: part, gsm, resrep, ...more }: Change) =>
    withoutMeaning({
      ...settings,
      training: { ...training, ...part },
      gsm: { ...settings.gsm, ...gsm },
      resrep: { ...settings.resrep, ...resrep },
      ...more,
    });
  const transfer = transferSchema.parse({});

  test('all but the epochs while nothing is trained', () => {
    const hidden = hiddenBy({ training: { epochs: 0 } });
    const shown = optionFields(trainingSchema).filter(({ path }) => !hidden.has(path.join('.')));
    expect(shown.map(({ path }) => path)).toEqual([['epochs']]);
  });

  test('a new classifier alone shows what its training takes', () => {
    const hidden = hiddenBy({ training: { epochs: 0 }, transfer });
    for (const key of ['epochs', 'batch', 'labelSmoothing', 'optimizer', 'augment.flip'])
      expect(hidden).not.toContain(key);
    for (const key of ['lr', 'loss', 'train', 'batchNorm', 'augment.mix']) expect(hidden).toContain(key);
    // And it is what its training takes.
    const changed = trainingRules.parse({ lr: 1, labelShare: 0.5, batchNorm: 'train', augment: { mix: true } });
    expect(headTraining(changed, transfer)).toEqual(headTraining(trainingRules.parse({}), transfer));
    const smoothed = headTraining({ ...changed, labelSmoothing: 0.1, batch: 7 }, transfer);
    expect(smoothed).toMatchObject({ labelSmoothing: 0.1, batch: 7 });
  });

  test.each<[Partial<TrainingSettings>, string[]]>([
    [{}, ['labelSmoothing', 'featureLayers', 'milestones']],
    [{ labelShare: 0.3, features: 2, schedule: 'step' }, ['augment.mix']],
    [
      { loss: 'labels', optimizer: 'adamw' },
      ['temperature', 'labelShare', 'featureLayers', 'momentum', 'nesterov', 'milestones', 'augment.mix'],
    ],
    [{ loss: 'match' }, ['temperature', 'labelSmoothing', 'featureLayers', 'milestones']],
  ])('%j hides %j', (change, hidden) => {
    expect([...hiddenBy({ training: change })]).toEqual(hidden);
  });

  test.each<[string, Change]>([
    ['fine-tuning', { method: 'fine-tune' }],
    ['single weights', { method: 'gsm' }],
    ['a new classifier', { transfer }],
  ])('%s learns from labels by itself', (_, change) => {
    const hidden = hiddenBy(change);
    expect(hidden).not.toContain('labelSmoothing');
    for (const key of ['labelShare', 'temperature', 'augment.mix']) expect(hidden).toContain(key);
    const distilling = hiddenBy({ ...change, training: { loss: 'distill' } });
    for (const key of ['labelShare', 'temperature', 'augment.mix']) expect(distilling).not.toContain(key);
  });

  test('what must be switched off for a run to start is shown', () => {
    expect(hiddenBy({ training: { loss: 'labels', augment: { mix: true } } })).not.toContain('augment.mix');
  });

  test('a method with an optimizer of its own hides that of the training', () => {
    const hidden = hiddenBy({ method: 'gsm' });
    for (const key of ['optimizer', 'momentum', 'nesterov', 'weightDecay', 'rounds']) expect(hidden).toContain(key);
    expect(hidden).not.toContain('lr');
    const ofResRep = hiddenBy({ method: 'resrep', training: { optimizer: 'adamw' } });
    for (const key of ['optimizer', 'rounds']) expect(ofResRep).toContain(key);
    for (const key of ['momentum', 'weightDecay']) expect(ofResRep).not.toContain(key);
  });

  test.each<[string, Change]>([
    ['with a ticket', { method: 'gsm', gsm: { ticket: 'pruned.onnx' } }],
    ['after a cut of weights', { method: 'gsm', gsm: { epochsAfter: 2 } }],
    ['after a cut of channels', { method: 'resrep', resrep: { epochsAfter: 2 } }],
    ['with a new classifier', { method: 'gsm', transfer }],
  ])('%s the training’s optimizer is used', (_, change) => {
    const hidden = hiddenBy(change);
    for (const key of ['optimizer', 'momentum', 'nesterov', 'weightDecay']) expect(hidden).not.toContain(key);
    expect(hidden).toContain('rounds');
  });

  test('a ticket hides what chooses weights anew', () => {
    const withTicket = { ...settings, gsm: { ...settings.gsm, ticket: 'pruned.onnx' } };
    const schema = methods.find(({ id }) => id === 'gsm')?.schema as OptionsSchema;
    const hidden = withoutMeaningOf(withTicket, 'gsm');
    expect(Object.keys(schema.properties).filter((key) => !hidden.has(key))).toEqual(['save', 'ticket']);
    expect(withoutMeaningOf(settings, 'gsm').size).toBe(0);
    expect(withoutMeaningOf(withTicket, 'basis').size).toBe(0);
  });

  test('double pruning hides the number of rounds, as it has rounds of its own', () => {
    expect(hiddenBy({ method: 'double' })).toContain('rounds');
    for (const method of ['basis', 'channel', 'fine-tune'] as const) {
      expect(hiddenBy({ method })).not.toContain('rounds');
    }
  });

  test('a method that trains anyway shows the training of its schedule', () => {
    const of = (more: object) => ({ ...settings, method: 'resrep' as const, ...more });
    expect(trainingOf(of({ training: undefined }))).toMatchObject({ epochs: 12, weightDecay: 1e-4 });
    expect(trainingOf(of({ training: { ...training, epochs: 0, lr: 0.5 } }))).toMatchObject({ epochs: 12, lr: 0.5 });
    expect(trainingOf(of({ training: { ...training, epochs: 3 } })).epochs).toBe(3);
    expect(trainingOf({ ...settings, method: 'basis', training: undefined }).epochs).toBe(0);
  });
});

test('ResRep prunes to multiply-accumulates or a latency, other methods to anything', () => {
  const kinds = ['macs', 'params', 'bytes', 'latency', 'milliseconds', 'drop'];
  expect(kinds.filter((kind) => takesTarget({ method: 'resrep' }, kind))).toEqual(['macs', 'latency', 'milliseconds']);
  expect(kinds.filter((kind) => takesTarget({ method: 'channel' }, kind))).toEqual(kinds);
});
