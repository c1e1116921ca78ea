/** From the command line to settings: a recipe file, or the defaults, with the options on top. */
import path from 'node:path';
import { badUsage } from '../errors';
import { type Preset, presets } from '../protocol/presets';
import { channelOptionsSchema, type PruneSettings, settingsSchema } from '../protocol/recipe';
import { resRepTrainings } from '../protocol/resrep';
import { type LoadedRecipe, loadRecipe, relativePath } from '../recipe/file';
import { type Arguments, expectedOf, parseCount, parseShapes } from './args';

/**
 * The model and the settings that a command line stands for; data paths are relative to the model's folder.
 * @throws UserError `bad-usage`, `recipe-invalid`, `recipe-model-differs`
 */
export async function loadSettings(args: Arguments): Promise<LoadedRecipe> {
  const file = args.value('recipe');
  const [operand] = args.operands;
  if (!operand && !file) throw badUsage({ found: 'no model', expected: 'a model file, or --recipe with one' });
  const base = file ? await loadRecipe(path.resolve(file), operand && path.resolve(operand)) : null;
  const model = base ? base.model : path.resolve(operand as string);
  const start: Partial<PruneSettings> = base?.settings ?? {};
  const preset = presetOf(args);
  const method = args.value('method') ?? preset?.settings.method ?? start.method ?? 'basis';
  const words = overrides(args, path.dirname(model), method);
  // ResRep is a training: without one of its own it has that of its preset.
  const own =
    preset?.settings.training ?? (method === 'resrep' ? resRepTrainings[start.resrep?.schedule ?? 'short'] : undefined);
  const merged = {
    ...start,
    ...words,
    method,
    ...(words.target ? { target: words.target } : {}),
    basis: { ...start.basis, ...words.basis },
    channel: { ...start.channel, ...words.channel },
    double: { ...start.double, ...words.double },
    gsm: { ...start.gsm, ...preset?.settings.gsm, ...words.gsm },
    resrep: { ...without(start.resrep, preset?.leftOut), ...preset?.settings.resrep, ...words.resrep },
    ...(start.transfer || words.transfer ? { transfer: { ...start.transfer, ...words.transfer } } : {}),
    ...(start.training || own || words.training
      ? {
          training: {
            ...(preset ? start.training : { ...own, ...start.training }),
            ...preset?.settings.training,
            ...words.training,
          },
        }
      : {}),
    ...(start.data || words.data ? { data: { ...start.data, ...words.data } } : {}),
  };
  const parsed = settingsSchema.safeParse(merged);
  if (parsed.success) return { model, settings: parsed.data };
  // The recipe was valid, so what is wrong comes from an option.
  const { path: place } = parsed.error.issues[0];
  const option = OPTIONS[place.join('.')] ?? OPTIONS[String(place[0])] ?? String(place[0]);
  const word = args.value(option) ?? args.list(option).join(' ');
  throw badUsage({ found: word ? `--${option} ${word}` : `no --${option}`, expected: expectedOf('prune', option) });
}

/** Which option sets what in the settings, where their names differ. */
const OPTIONS: Readonly<Record<string, string>> = {
  'basis.basis': 'basis',
  'basis.score': 'criterion',
  'basis.finish': 'finish',
  'data.path': 'data',
  'data.evaluation': 'eval-data',
  'data.calibrationImages': 'images',
  'data.limit': 'limit',
  'channel.criterion': 'criterion',
  'channel.allocation': 'allocation',
  'double.order': 'order',
  'gsm.keep': 'keep',
  'gsm.epochsAfter': 'epochs-after',
  'gsm.ticket': 'ticket',
  'resrep.epochsAfter': 'epochs-after',
  'gsm.save': 'save',
  'gsm.momentum': 'momentum',
  'gsm.weightDecay': 'weight-decay',
  layers: 'layer',
  groups: 'group',
  shapes: 'shape',
  'training.epochs': 'epochs',
  'training.batch': 'batch',
  'training.lr': 'lr',
  'training.rounds': 'rounds',
  'training.loss': 'loss',
  'training.initial': 'initial',
  'training.train': 'train',
  'training.schedule': 'schedule',
  'training.milestones': 'milestones',
  'training.warmup': 'warmup',
  'training.momentum': 'momentum',
  'training.weightDecay': 'weight-decay',
};

/** What the options say, in the recipe's terms; checked later with everything else. */
function overrides(args: Arguments, folder: string, method: string) {
  const relative = (file: string): string => relativePath(folder, path.resolve(file));
  const data = args.value('data');
  const evaluation = args.value('eval-data');
  const images = parseCount(args, 'images', 1);
  const limit = parseCount(args, 'limit', 1);
  const seed = parseCount(args, 'seed');
  const threads = parseCount(args, 'threads');
  const multiple = parseCount(args, 'multiple');
  const protect = args.list('protect');
  const layers = args.list('layer').map((word) => ratioOf('layer', word));
  const groups = args.list('group').map((word) => ratioOf('group', word));
  const target = args.value('target');
  const shapes = parseShapes(args.list('shape'));
  const basis = args.value('basis');
  const { score, criterion } = criteriaOf(args.value('criterion'), method);
  const allocation = args.value('allocation');
  const order = args.value('order');
  const finish = args.value('finish');
  const keep = parseNumber(args, 'keep');
  const epochsAfter = parseCount(args, 'epochs-after');
  const ticket = args.value('ticket');
  const inertia = inertiaWords(args);
  const isSparse = method === 'gsm';
  const training = { ...trainingWords(args), ...(isSparse ? {} : inertia) };
  return {
    ...(data || evaluation || images || limit
      ? {
          data: {
            ...(data ? { path: relative(data) } : {}),
            ...(evaluation ? { evaluation: relative(evaluation) } : {}),
            ...(images ? { calibrationImages: images } : {}),
            ...(limit ? { limit } : {}),
          },
        }
      : {}),
    basis: {
      ...(basis ? { basis } : {}),
      ...(score ? { score } : {}),
      ...(finish ? { finish } : {}),
      ...(args.flag('no-refit') ? { refit: false } : {}),
      ...(args.flag('fold-bn') ? { foldBatchNorm: true } : {}),
    },
    channel: {
      ...(criterion ? { criterion } : {}),
      ...(allocation ? { allocation } : {}),
      ...(args.flag('no-reconstruct') ? { reconstruct: false } : {}),
    },
    double: { ...(order ? { order } : {}) },
    gsm: {
      ...(keep === undefined ? {} : { keep }),
      ...(epochsAfter === undefined ? {} : { epochsAfter }),
      ...(args.value('save') ? { save: args.value('save') } : {}),
      ...(ticket === undefined ? {} : { ticket: relative(ticket) }),
      ...(isSparse ? inertia : {}),
    },
    resrep: {
      ...(args.flag('followers') ? { followers: true } : {}),
      ...(epochsAfter === undefined ? {} : { epochsAfter }),
    },
    ...(Object.keys(training).length ? { training } : {}),
    ...(args.flag('transfer') ? { transfer: {} } : {}),
    ...(target ? { target: parseTarget(target) } : {}),
    ...(shapes ? { shapes } : {}),
    ...(multiple === undefined ? {} : { multiple }),
    ...(protect.length ? { protect: [...protect] } : {}),
    ...(layers.length ? { layers } : {}),
    ...(groups.length ? { groups } : {}),
    ...(seed === undefined ? {} : { seed }),
    ...(threads === undefined ? {} : { threads }),
    ...(args.value('device') ? { device: args.value('device') } : {}),
  };
}

/** The settings that `--preset` names. */
function presetOf(args: Arguments): Preset | undefined {
  const name = args.value('preset');
  if (name === undefined) return undefined;
  const found = presets.find((preset) => preset.name === name);
  if (!found) throw badUsage({ found: `--preset ${name}`, expected: expectedOf('prune', 'preset') });
  return found;
}

/** Options but those that a preset leaves to its schedule. */
function without(options: object = {}, leftOut: readonly string[] = []): object {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !leftOut.includes(key)));
}

/** Options that a method with an optimizer of its own takes for it. */
function inertiaWords(args: Arguments) {
  const momentum = parseNumber(args, 'momentum');
  const weightDecay = parseNumber(args, 'weight-decay');
  return {
    ...(momentum === undefined ? {} : { momentum }),
    ...(weightDecay === undefined ? {} : { weightDecay }),
  };
}

function parseNumber(args: Arguments, option: string): number | undefined {
  const word = args.value(option);
  if (word === undefined) return undefined;
  if (word === '' || !Number.isFinite(Number(word))) {
    throw badUsage({ found: `--${option} ${word}`, expected: 'a number' });
  }
  return Number(word);
}

function trainingWords(args: Arguments) {
  const epochs = parseCount(args, 'epochs');
  const batch = parseCount(args, 'batch');
  const rounds = parseCount(args, 'rounds', 1);
  const crop = parseCount(args, 'crop');
  const augment = {
    ...(crop === undefined ? {} : { crop }),
    ...(args.flag('no-flip') ? { flip: false } : {}),
    ...(args.flag('mix') ? { mix: true } : {}),
  };
  const lr = parseNumber(args, 'lr');
  const warmup = parseCount(args, 'warmup');
  const schedule = args.value('schedule');
  const milestones = args.value('milestones');
  const loss = args.value('loss') ?? (args.flag('distill') ? 'distill' : undefined);
  const train = args.value('train');
  const initial = args.value('initial');
  return {
    ...(epochs === undefined ? {} : { epochs }),
    ...(batch === undefined ? {} : { batch }),
    ...(rounds === undefined ? {} : { rounds }),
    ...(lr === undefined ? {} : { lr }),
    ...(schedule === undefined ? {} : { schedule }),
    ...(milestones === undefined ? {} : { milestones: milestones.split(',').map(Number) }),
    ...(warmup === undefined ? {} : { warmup }),
    ...(loss === undefined ? {} : { loss }),
    ...(train === undefined ? {} : { train }),
    ...(initial === undefined ? {} : { initial }),
    ...(Object.keys(augment).length ? { augment } : {}),
  };
}

function parseTarget(word: string): { kind: string; value: number } {
  const [kind, value] = word.split('=');
  const number = Number(value);
  if (!kind || !value || !Number.isFinite(number))
    throw badUsage({
      found: `--target ${word}`,
      expected: 'macs=0.5, params=0.5, bytes=…, latency=0.5, milliseconds=2 or drop=1',
    });
  return { kind, value: number };
}

/** What `--criterion` means: scores of bases and criteria of channels have different names, and double pruning has both. */
function criteriaOf(word: string | undefined, method: string): { score?: string; criterion?: string } {
  if (word === undefined) return {};
  if (method === 'channel') return { criterion: word };
  const isOfChannels = channelOptionsSchema.shape.criterion.safeParse(word).success;
  return method === 'double' && isOfChannels ? { criterion: word } : { score: word };
}

function ratioOf(option: 'layer' | 'group', word: string): { match: string; ratio: number } {
  const at = word.lastIndexOf('=');
  const ratio = Number(word.slice(at + 1));
  if (at < 1 || at === word.length - 1 || !Number.isFinite(ratio)) {
    throw badUsage({ found: `--${option} ${word}`, expected: `--${option} glob=ratio` });
  }
  return { match: word.slice(0, at), ratio };
}
