/** The options of `prune` that are settings: where each stands in a recipe, and to which methods it means something. */
import path from 'node:path';
import { badUsage } from '../errors';
import { channelOptionsSchema, type PruneSettings, settingsSchema } from '../protocol/recipe';
import { relativePath } from '../recipe/file';
import { hasTarget, trainsSparsely, usesGroups, usesProtect, usesRanks } from '../settings/methods';
import { hasRounds } from '../settings/rounds';
import { type Arguments, type PruneOption, parseCount, parseShapes } from './args';

type Method = PruneSettings['method'];

/** A part of a recipe. */
export type Tree = Readonly<Record<string, unknown>>;

/** What decides what an option means. */
export interface Given {
  readonly args: Arguments;
  readonly method: Method;
  /** Also that of the recipe that the options come on top of. */
  readonly gsm: { readonly ticket?: string };
  /** Relative paths of the settings start here. */
  readonly folder: string;
}

interface Setting {
  /** Its place in the recipe. */
  readonly at: string | ((given: Given) => string);
  /** The only methods that it means something to; all when left out. */
  readonly methods?: readonly Method[];
  /** What was given, as the recipe has it and unchecked; undefined when nothing was. */
  readonly read: (option: string, given: Given) => unknown;
}

type Reader = Setting['read'];

const word: Reader = (option, { args }) => args.value(option);
const number: Reader = (option, { args }) => parseNumber(option, args.value(option));
const countFrom =
  (least: number): Reader =>
  (option, { args }) =>
    parseCount(args, option, least);
const file: Reader = (option, { args, folder }) => {
  const found = args.value(option);
  return found === undefined ? undefined : relativePath(folder, path.resolve(found));
};
const flag =
  (value: unknown): Reader =>
  (option, { args }) =>
    args.flag(option) ? value : undefined;
const list =
  (read: (option: string, word: string) => unknown): Reader =>
  (option, { args }) =>
    args.list(option).length ? args.list(option).map((one) => read(option, one)) : undefined;

/** The methods of which something is so. */
const where = (isSo: (of: { readonly method: Method }) => boolean): readonly Method[] =>
  settingsSchema.shape.method.options.filter((method) => isSo({ method }));
const splitting = where(usesRanks);
const targeted = where(hasTarget);
/** Those that cut channels by a plan. */
const cutting: readonly Method[] = ['channel', 'double'];

/** Options that say what to read, write and do, and those that stand for several settings. */
type Other = 'output' | 'recipe' | 'method' | 'preset' | 'resume' | 'dry-run' | 'save-recipe' | 'force' | 'json';

const settings: Readonly<Record<Exclude<PruneOption, Other>, Setting>> = {
  transfer: { at: 'transfer', read: flag({}) },
  target: { at: 'target', methods: targeted, read: (_, { args }) => parseTarget(args.value('target')) },
  data: { at: 'data.path', read: file },
  'eval-data': { at: 'data.evaluation', read: file },
  images: { at: 'data.calibrationImages', read: countFrom(1) },
  limit: { at: 'data.limit', read: countFrom(1) },
  basis: { at: 'basis.basis', methods: splitting, read: word },
  criterion: { at: criterionPlace, methods: ['basis', 'channel', 'double'], read: word },
  allocation: { at: 'channel.allocation', methods: cutting, read: word },
  order: { at: 'double.order', methods: ['double'], read: word },
  keep: { at: 'gsm.keep', methods: ['gsm'], read: number },
  'epochs-after': { at: ({ method }) => `${method}.epochsAfter`, methods: ['gsm', 'resrep'], read: countFrom(0) },
  save: { at: 'gsm.save', methods: ['gsm'], read: word },
  ticket: { at: 'gsm.ticket', methods: ['gsm'], read: file },
  followers: { at: 'resrep.followers', methods: ['resrep'], read: flag(true) },
  'no-refit': { at: 'basis.refit', methods: splitting, read: flag(false) },
  'no-reconstruct': { at: 'channel.reconstruct', methods: cutting, read: flag(false) },
  'fold-bn': { at: 'basis.foldBatchNorm', methods: splitting, read: flag(true) },
  finish: { at: 'basis.finish', methods: splitting, read: word },
  multiple: { at: 'multiple', methods: targeted, read: countFrom(0) },
  protect: { at: 'protect', methods: where((of) => usesProtect({ ...of, gsm: {} })), read: list((_, one) => one) },
  layer: { at: 'layers', methods: splitting, read: list(ratioOf) },
  group: { at: 'groups', methods: where(usesGroups), read: list(ratioOf) },
  epochs: { at: 'training.epochs', read: countFrom(0) },
  rounds: { at: 'training.rounds', methods: where(hasRounds), read: countFrom(1) },
  initial: { at: 'training.initial', read: word },
  train: { at: 'training.train', read: word },
  lr: { at: 'training.lr', read: number },
  schedule: { at: 'training.schedule', read: word },
  milestones: { at: 'training.milestones', read: (_, { args }) => args.value('milestones')?.split(',').map(Number) },
  warmup: { at: 'training.warmup', read: countFrom(0) },
  momentum: { at: (given) => `${optimizerPlace(given)}.momentum`, read: number },
  'weight-decay': { at: (given) => `${optimizerPlace(given)}.weightDecay`, read: number },
  distill: { at: 'training.loss', read: flag('distill') },
  loss: { at: 'training.loss', read: word },
  batch: { at: 'training.batch', read: countFrom(0) },
  crop: { at: 'training.augment.crop', read: countFrom(0) },
  'no-flip': { at: 'training.augment.flip', read: flag(false) },
  mix: { at: 'training.augment.mix', read: flag(true) },
  seed: { at: 'seed', read: countFrom(0) },
  shape: { at: 'shapes', read: (option, { args }) => parseShapes(args.list(option)) },
  device: { at: 'device', read: word },
  threads: { at: 'threads', read: countFrom(0) },
};

const rows: readonly (readonly [string, Setting])[] = Object.entries(settings);

/** What the options say, in the recipe's terms; checked later with everything else. @throws UserError `bad-usage` */
export function settingsOf(given: Given): Tree {
  return rows.reduce<Tree>((tree, [option, setting]) => {
    const value = setting.read(option, given);
    if (value === undefined) return tree;
    if (setting.methods) checkMethod(`--${option}`, given.method, setting.methods);
    const keys = placeOf(setting, given).split('.');
    return merged(tree, keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree);
  }, {});
}

/** @throws UserError `bad-usage` when a method has no use for what was given */
export function checkMethod(found: string, method: Method, methods: readonly Method[]): void {
  if (methods.includes(method)) return;
  const names = [methods.slice(0, -1).join(', '), methods.at(-1)].filter(Boolean).join(' or ');
  throw badUsage({ found: `${found} with the method ${method}`, expected: `--method ${names}` });
}

/** The option that is to blame for a wrong value at a place in the recipe, or else the place's own name. */
export function optionAt(place: readonly PropertyKey[], given: Given): string {
  const dotted = `${place.join('.')}.`;
  const fitting = rows.filter(([, setting]) => dotted.startsWith(`${placeOf(setting, given)}.`));
  const present = fitting.filter(([option, setting]) => setting.read(option, given) !== undefined);
  return (present.at(-1) ?? fitting.at(-1))?.[0] ?? String(place[0]);
}

/** Two parts of a recipe in one: where both say something, the second wins. */
export function merged(first: Tree, second: Tree): Tree {
  const both = Object.entries(second).map(([key, value]) => {
    const before = first[key];
    return [key, isTree(before) && isTree(value) ? merged(before, value) : value];
  });
  return { ...first, ...Object.fromEntries(both) };
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function placeOf({ at }: Setting, given: Given): string {
  return typeof at === 'string' ? at : at(given);
}

/** gsm has an optimizer of its own, but not for a ticket. */
function optimizerPlace(given: Given): string {
  return trainsSparsely(given) ? 'gsm' : 'training';
}

/** Scores of bases and criteria of channels have different names, and double pruning has both. */
function criterionPlace({ args, method }: Given): string {
  const isOfChannels = channelOptionsSchema.shape.criterion.safeParse(args.value('criterion')).success;
  return method === 'channel' || (method === 'double' && isOfChannels) ? 'channel.criterion' : 'basis.score';
}

function parseNumber(option: string, found: string | undefined): number | undefined {
  if (found === undefined) return undefined;
  if (found === '' || !Number.isFinite(Number(found))) {
    throw badUsage({ found: `--${option} ${found}`, expected: 'a number' });
  }
  return Number(found);
}

function parseTarget(found: string | undefined): { kind: string; value: number } | undefined {
  if (found === undefined) return undefined;
  const [kind, value] = found.split('=');
  const amount = Number(value);
  if (!kind || !value || !Number.isFinite(amount))
    throw badUsage({
      found: `--target ${found}`,
      expected: 'macs=0.5, params=0.5, bytes=…, latency=0.5, milliseconds=2 or drop=1',
    });
  return { kind, value: amount };
}

function ratioOf(option: string, found: string): { match: string; ratio: number } {
  const at = found.lastIndexOf('=');
  const ratio = Number(found.slice(at + 1));
  if (at < 1 || at === found.length - 1 || !Number.isFinite(ratio)) {
    throw badUsage({ found: `--${option} ${found}`, expected: `--${option} glob=ratio` });
  }
  return { match: found.slice(0, at), ratio };
}
