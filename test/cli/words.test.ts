/** From words to settings, and from results to text: the command line without its process. */
import path from 'node:path';
import { beforeAll, describe, expect, it, test } from 'vitest';
import { type Arguments, commands, helpText, parseArguments } from '../../src/cli/args';
import { progressReporter } from '../../src/cli/progress';
import { loadSettings } from '../../src/cli/recipe';
import { bytes, count, inspectText, projectionText, table } from '../../src/cli/text';
import type { Progress } from '../../src/protocol/plan';
import { settingsSchema } from '../../src/protocol/recipe';
import { factsOf } from '../support/graphs';
import { temporaryFile } from '../support/onnxBuilder';
import { planGraph } from '../support/plans';
import { smallClassifier } from '../support/smallClassifier';

function parsed(...words: string[]): Arguments {
  const args = parseArguments(words);
  if ('help' in args) throw new Error('help was asked for');
  return args;
}
const settingsFrom = async (...words: string[]) => (await loadSettings(parsed('prune', ...words))).settings;

describe('settings', () => {
  const standard = settingsSchema.parse({ method: 'basis', target: { kind: 'macs', value: 0.5 } });

  it('are the defaults without options', async () => {
    expect(await settingsFrom('m.onnx')).toEqual(standard);
  });

  const cases: [string, string[], object][] = [
    ['a target', ['--target', 'params=0.25'], { target: { kind: 'params', value: 0.25 } }],
    ['a number of bytes', ['--target', 'bytes=500000'], { target: { kind: 'bytes', value: 500_000 } }],
    ['protected layers', ['--protect', 'conv1', '--protect', 'b.*'], { protect: ['conv1', 'b.*'] }],
    [
      'ratios of layers, the last word last',
      ['--layer', '*=0.5', '--layer', 'a=b=0.25'],
      {
        layers: [
          { match: '*', ratio: 0.5 },
          { match: 'a=b', ratio: 0.25 },
        ],
      },
    ],
    [
      'the basis',
      ['--basis', 'weights', '--criterion', 'energy', '--finish', 'recombined', '--no-refit', '--fold-bn'],
      { basis: { basis: 'weights', score: 'energy', finish: 'recombined', refit: false, foldBatchNorm: true } },
    ],
    [
      'the channels',
      [
        '--method',
        'channel',
        '--criterion',
        'lasso',
        '--allocation',
        'uniform',
        '--no-reconstruct',
        '--group',
        'a.*=0.5',
      ],
      {
        method: 'channel',
        channel: { criterion: 'lasso', allocation: 'uniform', reconstruct: false },
        basis: { score: 'energy-per-mac' },
        groups: [{ match: 'a.*', ratio: 0.5 }],
      },
    ],
    [
      'a criterion of channels for double pruning',
      ['--method', 'double', '--criterion', 'taylor', '--order', 'basis-first'],
      { channel: { criterion: 'taylor' }, basis: { score: 'energy-per-mac' }, double: { order: 'basis-first' } },
    ],
    [
      'a score of bases for double pruning',
      ['--method', 'double', '--criterion', 'energy'],
      { channel: { criterion: 'auto' }, basis: { score: 'energy' } },
    ],
    ['numbers', ['--multiple', '8', '--seed', '7', '--threads', '2'], { multiple: 8, seed: 7, threads: 2 }],
    ['shapes', ['--shape', 'x=1,3,64,64', '--shape', 'y=2x5'], { shapes: { x: [1, 3, 64, 64], y: [2, 5] } }],
    ['a device', ['--device', 'auto'], { device: 'auto' }],
  ];
  it.each(cases)('take %s', async (_name, words, expected) => {
    expect(await settingsFrom('m.onnx', ...words)).toMatchObject(expected);
  });

  it('have data paths that start at the model’s folder', async () => {
    const words = [path.join('models', 'm.onnx'), '--data', path.join('images', 'train'), '--eval-data', 'test.npz'];
    const { model, settings } = await loadSettings(parsed('prune', ...words, '--images', '9', '--limit', '5'));
    expect(model).toBe(path.resolve('models/m.onnx'));
    expect(settings.data).toEqual({
      path: '../images/train',
      evaluation: '../test.npz',
      calibrationImages: 9,
      limit: 5,
    });
  });

  it('say how to train', async () => {
    const words = ['--initial', 'random', '--epochs', '3', '--lr', '0.1', '--crop', '1', '--no-flip'];
    const { settings } = await loadSettings(parsed('prune', 'm.onnx', '--method', 'fine-tune', ...words));
    expect(settings).toMatchObject({
      method: 'fine-tune',
      training: { initial: 'random', batchNorm: 'auto', epochs: 3, lr: 0.1, augment: { crop: 1, flip: false } },
    });
  });

  it('say how to make a model sparse; momentum and decay go to the method that has its own', async () => {
    const words = ['--momentum', '0.95', '--weight-decay', '0.001', '--epochs', '9', '--milestones', '0.75,0.9'];
    const sparse = await loadSettings(parsed('prune', 'm.onnx', '--method', 'gsm', '--keep', '0.05', ...words));
    expect(sparse.settings.gsm).toMatchObject({ keep: 0.05, momentum: 0.95, weightDecay: 0.001 });
    expect(sparse.settings.training).toMatchObject({
      epochs: 9,
      momentum: 0.9,
      weightDecay: 0,
      milestones: [0.75, 0.9],
    });
    const wrong = loadSettings(parsed('prune', 'm.onnx', '--milestones', 'half'));
    await expect(wrong).rejects.toMatchObject({ code: 'bad-usage' });
    const plain = await loadSettings(parsed('prune', 'm.onnx', '--method', 'fine-tune', ...words));
    expect(plain.settings.training).toMatchObject({ momentum: 0.95, weightDecay: 0.001 });
  });

  it('give momentum and decay to the training of a ticket, which has no other optimizer', async () => {
    const words = ['--momentum', '0.95', '--weight-decay', '0.001', '--epochs', '9'];
    const given = await loadSettings(parsed('prune', 'm.onnx', '--method', 'gsm', '--ticket', 'p.onnx', ...words));
    const recipe = { version: 1, model: { path: 'm.onnx' }, method: 'gsm', gsm: { ticket: 'p.onnx' } };
    const file = temporaryFile(JSON.stringify(recipe), 'ticket.prune.json');
    for (const { settings } of [given, await loadSettings(parsed('prune', '--recipe', file, ...words))]) {
      expect(settings.training).toMatchObject({ epochs: 9, momentum: 0.95, weightDecay: 0.001 });
      expect(settings.gsm).toMatchObject({ ticket: 'p.onnx', momentum: 0.98, weightDecay: 5e-4 });
    }
  });

  it('start from a preset, with the options on top', async () => {
    const { settings } = await loadSettings(parsed('prune', 'm.onnx', '--preset', 'gsm-lenet', '--epochs', '7'));
    expect(settings).toMatchObject({ method: 'gsm', gsm: { keep: 1 / 60, momentum: 0.99 } });
    expect(settings.training).toMatchObject({ epochs: 7, lr: 0.01, schedule: 'step', batch: 256 });
    const schedule = await settingsFrom('m.onnx', '--preset', 'resrep-cifar', '--followers', '--epochs-after', '3');
    expect(schedule.resrep).toMatchObject({ schedule: 'cifar', followers: true, epochsAfter: 3 });
    expect(schedule.training).toMatchObject({ epochs: 480, loss: 'labels' });
    await expect(loadSettings(parsed('prune', 'm.onnx', '--preset', 'none'))).rejects.toMatchObject({
      code: 'bad-usage',
    });
  });

  it('come from a recipe, with the options on top', async () => {
    const recipe = {
      version: 1,
      model: { path: '../m.onnx' },
      method: 'basis',
      target: { kind: 'bytes', value: 0.3 },
      data: { path: 'images', limit: 10 },
      basis: { score: 'energy', ridge: 0.5 },
      training: { augment: { flip: false } },
      multiple: 4,
      results: { anything: true },
    };
    const file = temporaryFile(JSON.stringify(recipe), 'a.prune.json');
    const { model, settings } = await loadSettings(
      parsed('prune', '--recipe', file, '--limit', '20', '--crop', '3', '--no-refit', '--multiple', '16'),
    );
    expect(model).toBe(path.join(path.dirname(file), '../m.onnx'));
    expect(settings).toMatchObject({
      target: { kind: 'bytes', value: 0.3 },
      basis: { score: 'energy', ridge: 0.5, refit: false },
      multiple: 16,
      data: { limit: 20 },
      training: { augment: { crop: 3, flip: false } },
    });
    expect(path.resolve(path.dirname(model), settings.data?.path ?? '')).toBe(path.join(path.dirname(file), 'images'));
  });
});

describe('wrong words', () => {
  const wrong: [string[], RegExp][] = [
    [['frobnicate'], /Found the command 'frobnicate', expected inspect, evaluate, prune, compare/],
    [['inspect'], /Found 0 files, expected espalier inspect <model>/],
    [['inspect', 'a', 'b'], /Found 2 files/],
    [['inspect', 'a', '--nonsense'], /--nonsense/],
    [['inspect', 'a', '--shape'], /--shape/],
    [['prune', 'a', '--target', 'macs'], /Found --target macs, expected macs=0.5/],
    [['prune', 'a', '--target', 'speed=2'], /Found --target speed=2, expected macs=0.5/],
    [['prune', 'a', '--target', 'macs=-1'], /Found --target macs=-1, expected macs=0.5/],
    [['prune', 'a', '--target', 'macs=50'], /Found --target macs=50, expected macs=0.5.*50 % is 0.5/],
    [['prune', 'a', '--layer', 'conv1'], /Found --layer conv1, expected --layer glob=ratio/],
    [['prune', 'a', '--layer', 'conv1=2'], /Found --layer conv1=2, expected glob=ratio/],
    [
      ['prune', 'a', '--method', 'gsm', '--layer', 'a=0.5'],
      /Found --layer with the method gsm, expected --method basis/,
    ],
    [['prune', 'a', '--group', 'conv1='], /Found --group conv1=, expected --group glob=ratio/],
    [['prune', 'a', '--criterion', 'lasso'], /Found --criterion lasso, expected What is pruned first/],
    [
      ['prune', 'a', '--method', 'channel', '--criterion', 'energy'],
      /Found --criterion energy, expected What is pruned/,
    ],
    [['prune', 'a', '--method', 'double', '--criterion', 'size'], /Found --criterion size, expected What is pruned/],
    [
      ['prune', 'a', '--method', 'channel', '--allocation', 'fair'],
      /Found --allocation fair, expected Where channels are removed/,
    ],
    [['prune', 'a', '--method', 'double', '--order', 'any'], /Found --order any, expected Of double pruning/],
    [['prune', 'a', '--shape', 'x=1,0'], /Found --shape x=1,0/],
    [
      ['prune', 'a', '--multiple', '5'],
      /Found --multiple 5, expected Ranks and channels in multiples of 1, 4, 8, 16 or 32\./,
    ],
    [['prune', 'a', '--images', '0'], /Found --images 0, expected a whole number from 1/],
    [['prune', 'a', '--seed', 'x'], /Found --seed x, expected a whole number from 0/],
    [['prune', 'a', '--device', 'quantum'], /Found --device quantum, expected cpu/],
    [['prune', 'a', '--method', 'magic'], /Found --method magic, expected basis/],
    [['prune', 'a', '--initial', 'zero'], /Found --initial zero, expected Weights that training starts with/],
    [['prune', 'a', '--crop', '1.5'], /Found --crop 1.5, expected a whole number from 0/],
    [['prune', 'a', '--crop', '5000'], /Found --crop 5000, expected Pixels by which .* at most 1024/],
    [['prune', 'a', '--distill', '--loss', 'guess'], /Found --loss guess, expected auto/],
    [['prune', 'a', '--keep', '0.1'], /Found --keep with the method basis, expected --method gsm\./],
    [
      ['prune', 'a', '--method', 'fine-tune', '--target', 'macs=0.5'],
      /expected --method basis, channel, double or resrep/,
    ],
    [
      ['prune', 'a', '--method', 'gsm', '--no-refit'],
      /Found --no-refit with the method gsm, expected --method basis or/,
    ],
    [['prune', 'a', '--method', 'basis', '--preset', 'gsm-lenet'], /Found --preset gsm-lenet with the method basis/],
    [['prune', 'a', '--method', 'gsm', '--rounds', '3'], /--rounds .* expected --method basis, channel or fine-tune/],
    [['prune', 'a', '--limit', '5'], /Found no --data, expected Dataset/],
    [['prune'], /Found no model/],
  ];
  it.each(wrong)('%j are a usage error', async (words, message) => {
    const settings = async () => loadSettings(parsed(...words));
    await expect(settings()).rejects.toMatchObject({ code: 'bad-usage', message: expect.stringMatching(message) });
  });

  it('are an option of another method than the recipe’s', async () => {
    const recipe = { version: 1, model: { path: 'm.onnx' }, method: 'channel' };
    const file = temporaryFile(JSON.stringify(recipe), 'a.prune.json');
    expect((await settingsFrom('--recipe', file, '--allocation', 'uniform')).channel.allocation).toBe('uniform');
    await expect(settingsFrom('--recipe', file, '--finish', 'recombined')).rejects.toMatchObject({
      code: 'bad-usage',
      message: expect.stringContaining('Found --finish with the method channel'),
    });
  });

  it('in a recipe are the recipe’s', async () => {
    const file = temporaryFile('{ "version": 2 }', 'a.prune.json');
    await expect(settingsFrom('--recipe', file)).rejects.toMatchObject({ code: 'recipe-invalid' });
  });
});

describe('help', () => {
  it('lists every command', () => {
    const text = helpText(null);
    for (const { usage, summary } of Object.values(commands)) expect(text).toContain(`${usage}\n      ${summary}`);
  });

  it.each(Object.keys(commands) as (keyof typeof commands)[])('of %s lists every option', (command) => {
    const text = helpText(command);
    for (const [option, { help }] of Object.entries(commands[command].options)) {
      expect(text).toMatch(new RegExp(`^ {2}--${option} +${help.replace(/[.*+?()[\]]/g, '\\$&')}$`, 'm'));
    }
  });

  it.each([
    [['help'], null],
    [[], null],
    [['--help'], null],
    [['help', 'prune'], 'prune'],
    [['prune', '--help'], 'prune'],
    [['prune', 'a.onnx', '-h'], 'prune'],
  ] as [string[], string | null][])('is shown for %j', (words, help) => {
    expect(parseArguments(words)).toEqual({ help });
  });
});

describe('text', () => {
  test('counts and sizes have three or four digits', () => {
    expect([0, 999, 1000, 4_089_184_256, null].map((n) => count(n))).toEqual([
      '0',
      '999',
      '1.00 k',
      '4.09 G',
      'unknown',
    ]);
    expect([12, 1500, 2_500_000].map(bytes)).toEqual(['12 B', '1.5 kB', '2.50 MB']);
  });

  test('tables align numbers to the right and end without spaces', () => {
    expect(
      table(
        ['name', 'n', ''],
        [
          ['a', '10', ''],
          ['long name', '9', 'why'],
        ],
        [1],
      ),
    ).toBe(['name        n', '---------  --  ---', 'a          10', 'long name   9  why'].join('\n'));
  });

  describe('of a model', () => {
    let text: string;
    beforeAll(async () => {
      text = inspectText(await factsOf(smallClassifier()), null);
    });

    it('says what it is and lists its layers', () => {
      expect(text).toContain('ONNX, opset 17, IR 8, 11 nodes');
      expect(text).toContain('input   image  float32 N×3×32×32');
      expect(text).toMatch(/^\d+\.\d\d k parameters, \d\.\d\d M MACs \(\d+\.\d\d M FLOPs, 2×MACs\), weights/m);
      expect(text).toMatch(/^middle +Conv +32×32×3×3 +1×32×16×16 +9\.22 k +2\.36 M +32$/m);
    });
  });

  it('of a projection gives every layer and the totals', async () => {
    const graph = smallClassifier();
    const { projection } = await planGraph(graph, { target: { kind: 'macs', value: 0.5 } });
    const text = projectionText(projection, (await factsOf(graph)).layers);
    expect(text).toMatch(/^stem +keep +27 \/ 27 .* its input has only 3 channels$/m);
    expect(text).toMatch(/^middle +factorize +\d+ \/ 32 .* \d+\.\d\d %$/m);
    expect(text).toMatch(/^MACs +\d\.\d\d M → \d\.\d\d M {2}-5\d\.\d %$/m);
  });
});

describe('progress', () => {
  function reporter(isTTY: boolean) {
    let written = '';
    const stream = { isTTY, columns: 40, write: (text: string) => (written += text) };
    return { ...progressReporter(stream as never), written: () => written };
  }
  const step = (phase: Progress['phase'], message: string, fraction: number | null) => ({ phase, message, fraction });

  it('is one line for each phase where nobody looks', () => {
    const { report, end, written } = reporter(false);
    report(step('read', 'Reading', 0));
    report(step('refit', 'Refitting a', 0.1));
    report(step('refit', 'Refitting b', 0.2));
    report(step('measure', 'Measuring', null));
    end();
    expect(written()).toBe('Reading\nRefitting a\nMeasuring\n');
  });

  it('is a bar that draws itself anew on a terminal, and fits it', () => {
    const { report, end, written } = reporter(true);
    report(step('refit', `Refitting ${'x'.repeat(100)}`, 0.5));
    end();
    const [, line] = written().split('\r\x1b[2K');
    expect(line).toHaveLength(39);
    expect(line).toMatch(/^\[={12} {12}\] 50 % Refi/);
    expect(written().endsWith('\r\x1b[2K')).toBe(true);
  });
});
