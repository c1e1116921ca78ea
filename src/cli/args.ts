/** The command line's words: commands, options, and what they turn into. */
import { parseArgs } from 'node:util';
import { badUsage } from '../errors';
import { type PruneSettings, settingsSchema } from '../protocol/recipe';

/** `value` takes a word, `list` may come several times. */
type OptionKind = 'flag' | 'value' | 'list';

interface CommandSpec {
  readonly usage: string;
  readonly summary: string;
  readonly operands: readonly [number, number];
  readonly options: Readonly<Record<string, { readonly kind: OptionKind; readonly help: string }>>;
}

const json = { kind: 'flag', help: 'Print one JSON document.' } as const;
const shape = { kind: 'list', help: 'Sizes of an input with free dimensions: name=1,3,224,224.' } as const;
const device = { kind: 'value', help: 'cpu (default), webgpu, cuda, directml, coreml or auto.' } as const;
const threads = { kind: 'value', help: 'CPU threads; 0 (default) is all.' } as const;

export const commands = {
  inspect: {
    usage: 'espalier inspect <model> [--spectra] [--shape name=1,3,224,224] [--json]',
    summary: 'Layers, parameters, MACs and, on request, singular values.',
    operands: [1, 1],
    options: { spectra: { kind: 'flag', help: 'Include singular values.' }, shape, json },
  },
  evaluate: {
    usage:
      'espalier evaluate <model> --data <dataset> [--limit N] [--shape name=1,3,224,224] [--device D] [--threads N] [--json]',
    summary: 'Accuracy with its confidence interval, loss and latency.',
    operands: [1, 1],
    options: {
      data: { kind: 'value', help: 'Folder, CIFAR or IDX files, .npz, .csv or *.dataset.json.' },
      limit: { kind: 'value', help: 'Use at most this many images.' },
      shape,
      device,
      threads,
      json,
    },
  },
  prune: {
    usage:
      'espalier prune <model> -o <out> [--target macs=0.5] [--data <dataset>] [options]\n       espalier prune --recipe <file> -o <out> [options]',
    summary: 'Prune a model, verify the result and save it with its recipe.',
    operands: [0, 1],
    options: {
      output: { kind: 'value', help: 'The file to write (-o).' },
      recipe: { kind: 'value', help: 'Start from this *.prune.json.' },
      method: {
        kind: 'value',
        help: 'basis (default), channel, double (both, one after the other), resrep (channels, by training), gsm (single weights become zero in training), or fine-tune: training alone.',
      },
      transfer: { kind: 'flag', help: 'Give the model a new classifier for the classes of the data first.' },
      target: {
        kind: 'value',
        help: 'macs=0.5, params=0.5, latency=0.5 (share to keep: 50 % is 0.5), bytes=… (share or bytes), milliseconds=2, or drop=1 (points of accuracy to lose at most).',
      },
      data: { kind: 'value', help: 'Dataset for calibration and evaluation; labels are optional for calibration.' },
      'eval-data': { kind: 'value', help: 'Another dataset for evaluation.' },
      basis: { kind: 'value', help: 'auto (default), weights or activations.' },
      criterion: {
        kind: 'value',
        help: 'What is pruned first. Of bases: energy, energy-per-mac (default), taylor-per-mac or fisher-per-mac. Of channels: auto (default), l1, l2, bn-scale, fpgm, taylor, fisher, activation, lasso or random.',
      },
      allocation: { kind: 'value', help: 'Where channels are removed: global (default), uniform or sensitivity.' },
      order: { kind: 'value', help: 'Of double pruning: channel-first (default) or basis-first.' },
      preset: {
        kind: 'value',
        help: 'Settings that belong together: gsm-lenet, gsm-cifar or gsm-short; resrep-short, resrep-cifar or resrep-imagenet.',
      },
      keep: { kind: 'value', help: 'Of gsm: the share of all weights that stay; default 0.1.' },
      'epochs-after': { kind: 'value', help: 'Of gsm and resrep: epochs of plain training after the cut; default 0.' },
      save: {
        kind: 'value',
        help: 'Of gsm: dense (default); sparse: a smaller file, no faster model; or compact: without idle channels.',
      },
      ticket: { kind: 'value', help: 'Of gsm: put the zeros of this pruned model into the weights to start with.' },
      followers: { kind: 'flag', help: 'ResRep also in residual chains, whose layers share a compactor.' },
      'no-refit': { kind: 'flag', help: 'Leave out the layer-by-layer refit of bases.' },
      'no-reconstruct': { kind: 'flag', help: 'Leave out the layer-by-layer refit of what reads removed channels.' },
      'fold-bn': { kind: 'flag', help: 'Weigh outputs as the following BatchNormalization does.' },
      finish: { kind: 'value', help: 'two-layers (default) or recombined.' },
      multiple: { kind: 'value', help: 'Ranks and channels in multiples of 1, 4, 8, 16 or 32.' },
      images: { kind: 'value', help: 'Calibration images.' },
      limit: { kind: 'value', help: 'Evaluate at most this many images.' },
      protect: { kind: 'list', help: 'Glob of layers to leave alone.' },
      layer: { kind: 'list', help: 'glob=ratio: share of the full rank to keep in these layers.' },
      group: { kind: 'list', help: 'glob=ratio: share of the channels to keep in these groups.' },
      epochs: { kind: 'value', help: 'Train so many epochs after pruning; default 0.' },
      rounds: { kind: 'value', help: 'Prune in so many steps, training after each; default 1.' },
      initial: { kind: 'value', help: 'Weights that training starts with: kept (default), or random ones.' },
      train: { kind: 'value', help: 'What is trained: head, scaling, bn, small or all (default).' },
      lr: { kind: 'value', help: 'Learning rate at its highest; default 0.01.' },
      schedule: { kind: 'value', help: 'How the learning rate falls: cosine (default), step or constant.' },
      milestones: { kind: 'value', help: 'When the step schedule falls, as shares of the training; default 0.5,0.75.' },
      warmup: { kind: 'value', help: 'Steps in which the learning rate rises; default 0.' },
      momentum: { kind: 'value', help: 'Of SGD; default 0.9, with gsm 0.98 (0.9 with a ticket).' },
      'weight-decay': { kind: 'value', help: 'Of weights; default 0, with gsm 5e-4 (0 with a ticket).' },
      loss: { kind: 'value', help: 'auto (default), labels, distill or match.' },
      distill: { kind: 'flag', help: 'Learn from the original model, without labels: --loss distill.' },
      batch: { kind: 'value', help: 'Images per training step; default 64.' },
      crop: {
        kind: 'value',
        help: 'Pixels by which training shifts images, at most 1024; default an eighth of their side.',
      },
      'no-flip': { kind: 'flag', help: 'Never mirror images in training.' },
      mix: { kind: 'flag', help: 'Mix pairs of images when learning from the original model alone.' },
      resume: { kind: 'flag', help: 'Go on with a training that was stopped.' },
      seed: { kind: 'value', help: 'Seed of every random choice; default 0.' },
      shape,
      device,
      threads,
      'dry-run': { kind: 'flag', help: 'Print the plan and write nothing.' },
      'save-recipe': { kind: 'value', help: 'Write the recipe here too.' },
      force: { kind: 'flag', help: 'Replace the output if it exists.' },
      json,
    },
  },
  compare: {
    usage: 'espalier compare <a> <b> [--data <dataset>] [--limit N] [--json]',
    summary: 'Two models side by side.',
    operands: [2, 2],
    options: {
      data: { kind: 'value', help: 'Dataset for accuracies.' },
      limit: { kind: 'value', help: 'Use at most this many images.' },
      json,
    },
  },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof commands;
export type PruneOption = keyof typeof commands.prune.options;

export interface Arguments {
  readonly command: CommandName;
  readonly operands: readonly string[];
  flag(name: string): boolean;
  value(name: string): string | undefined;
  list(name: string): readonly string[];
}

/** @returns null when help was asked for (then `command` of the help is the first word, if it is one) */
export function parseArguments(words: readonly string[]): Arguments | { readonly help: CommandName | null } {
  const [name, ...rest] = words;
  if (!name || name === '--help' || name === '-h' || name === 'help') {
    return { help: rest[0] !== undefined && isCommand(rest[0]) ? rest[0] : null };
  }
  if (!isCommand(name)) throw badUsage({ found: `the command '${name}'`, expected: Object.keys(commands).join(', ') });
  const spec: CommandSpec = commands[name];
  if (rest.includes('--help') || rest.includes('-h')) return { help: name };
  const options = Object.fromEntries(
    Object.entries(spec.options).map(([option, { kind }]) => [
      option,
      {
        type: kind === 'flag' ? ('boolean' as const) : ('string' as const),
        multiple: kind === 'list',
        ...(option === 'output' ? { short: 'o' } : {}),
      },
    ]),
  );
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...rest], options, allowPositionals: true });
  } catch (error) {
    throw badUsage({ found: (error as Error).message, expected: spec.usage });
  }
  const [least, most] = spec.operands;
  if (parsed.positionals.length < least || parsed.positionals.length > most) {
    throw badUsage({ found: `${parsed.positionals.length} files`, expected: spec.usage });
  }
  return {
    command: name,
    operands: parsed.positionals,
    flag: (option) => parsed.values[option] === true,
    value: (option) => parsed.values[option] as string | undefined,
    list: (option) => (parsed.values[option] as string[] | undefined) ?? [],
  };
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(commands, name);
}

/** Help for all commands, or for one with its options. */
export function helpText(command: CommandName | null): string {
  if (!command) {
    const lines = Object.values(commands).map((spec) => `  ${spec.usage}\n      ${spec.summary}`);
    return `Inspect and prune neural networks on this machine.\n\n${lines.join('\n')}\n\nespalier help <command> lists its options.\n`;
  }
  const spec: CommandSpec = commands[command];
  const width = Math.max(...Object.keys(spec.options).map((option) => option.length)) + 4;
  const lines = Object.entries(spec.options).map(([option, { help }]) => `  ${`--${option}`.padEnd(width)}${help}`);
  return `${spec.summary}\n\n  ${spec.usage}\n\n${lines.join('\n')}\n`;
}

/** What an option's help says it takes, as the end of a sentence. */
export function expectedOf(command: CommandName, option: string): string {
  const spec: CommandSpec = commands[command];
  return (spec.options[option]?.help ?? spec.usage).replace(/\.$/, '');
}

/** "name=1,3,224,224" → sizes by input name. */
export function parseShapes(words: readonly string[]): Record<string, number[]> | undefined {
  if (words.length === 0) return undefined;
  return Object.fromEntries(
    words.map((word) => {
      const at = word.lastIndexOf('=');
      const sizes = word
        .slice(at + 1)
        .split(/[,x×]/)
        .map(Number);
      if (at < 1 || sizes.some((size) => !Number.isInteger(size) || size < 1)) {
        throw badUsage({ found: `--shape ${word}`, expected: '--shape name=1,3,224,224' });
      }
      return [word.slice(0, at), sizes];
    }),
  );
}

/** A whole number of an option, or undefined when it was not given. */
export function parseCount(args: Arguments, option: string, least = 0): number | undefined {
  const word = args.value(option);
  if (word === undefined) return undefined;
  const count = Number(word);
  if (word === '' || !Number.isInteger(count) || count < least)
    throw badUsage({ found: `--${option} ${word}`, expected: `a whole number from ${least}` });
  return count;
}

export function parseDevice(args: Arguments): PruneSettings['device'] {
  const parsed = settingsSchema.shape.device.safeParse(args.value('device'));
  if (!parsed.success) {
    throw badUsage({ found: `--device ${args.value('device')}`, expected: expectedOf(args.command, 'device') });
  }
  return parsed.data;
}
