/** The command line as a process: exit codes, what goes where, and what is written. */
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { recipeSchema } from '../../src/protocol/recipe';
import { temporaryFolder } from '../support/onnxBuilder';
import { buildProduct, type Product } from '../support/product';
import { type SmallTask, smallTask } from '../support/smallClassifier';

let product: Product;
let task: SmallTask;
beforeAll(async () => {
  [product, task] = await Promise.all([buildProduct(), smallTask()]);
});

/** Waits until a process has said something on stderr, sends it Ctrl+C, and gives what became of it. */
async function interrupted(child: ChildProcess, after: string): Promise<{ status: number | null; stderr: string }> {
  let stderr = '';
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.stderr?.on('data', (chunk: Buffer) => {
    const saidBefore = stderr.includes(after);
    stderr += chunk;
    if (!saidBefore && stderr.includes(after)) child.kill('SIGINT');
  });
  return { status: await exited, stderr };
}

const cli = (...words: string[]) => product.cli(words, { cwd: task.folder });

describe('exit codes', () => {
  it('0: done', () => {
    const { status, stdout, stderr } = cli('inspect', 'model.onnx');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^middle +Conv /m);
    expect(stderr).toBe('');
  });

  it('0: help that was asked for; 2: help because nothing was', () => {
    const asked = cli('help');
    expect([asked.status, asked.stdout]).toEqual([0, expect.stringContaining('espalier prune')]);
    const given = cli();
    expect([given.status, given.stdout]).toEqual([2, asked.stdout]);
  });

  it('1: something the user can act on', () => {
    const { status, stdout, stderr } = cli('inspect', 'absent.onnx');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toBe(
      `espalier: There is no file '${path.join(task.folder, 'absent.onnx')}'.\nCheck the spelling, and that it was not moved or deleted.\n`,
    );
  });

  it('2: usage', () => {
    const { status, stdout, stderr } = cli('prune', 'model.onnx', '--target', 'speed');
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Found --target speed');
  });

  it('are the same with --json, with the error as the document', () => {
    const absent = cli('inspect', 'absent.onnx', '--json');
    expect([absent.status, absent.stderr]).toEqual([1, '']);
    expect(JSON.parse(absent.stdout)).toEqual({
      error: {
        code: 'file-not-found',
        message: expect.stringContaining('absent.onnx'),
        hint: expect.stringMatching(/./),
      },
    });
    const usage = cli('inspect', '--json');
    expect([usage.status, JSON.parse(usage.stdout).error.code]).toEqual([2, 'bad-usage']);
  });

  it('1: an output that could not be saved, said before any work is done', () => {
    const start = ['prune', 'model.onnx', '--data', 'data.bin', '-o'];
    for (const [output, message] of [
      ['model.onnx', 'belongs to the model that was opened'],
      ['data.bin', 'exists already'],
      ['no/where.onnx', 'the folder does not exist'],
    ]) {
      const { status, stderr } = cli(...start, output);
      expect([status, stderr]).toEqual([1, expect.stringContaining(message)]);
      expect(stderr).not.toContain('Calibrating');
    }
    const none = cli('prune', 'model.onnx');
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining('No output file was given')]);
  });
});

describe('inspect --json', () => {
  it('is one document with everything that is known', () => {
    const { stdout } = cli('inspect', 'model.onnx', '--spectra', '--json');
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      format: 'onnx',
      opset: 17,
      inputs: [{ name: 'image', dtype: 'float32', shape: ['N', 3, 32, 32] }],
      outputs: [{ name: 'logits', dtype: 'float32', shape: ['N', 10] }],
      totals: { params: expect.any(Number), macs: expect.any(Number), bytes: expect.any(Number) },
    });
    expect(document.totals.flops).toBe(2 * document.totals.macs);
    expect(document.layers).toHaveLength(4);
    expect(document.layers[1]).toMatchObject({
      name: 'middle',
      opType: 'Conv',
      weight: { name: 'middle.weight', shape: [32, 32, 3, 3] },
      outputShape: [1, 32, 16, 16],
      params: 9216,
      macs: 256 * 9216,
      reason: null,
    });
    expect(document.layers[1].singularValues).toHaveLength(32);
  });
});

describe('evaluate --json', () => {
  it('has the score, its certainty and the time', () => {
    const { status, stdout, stderr } = cli('evaluate', 'model.onnx', '--data', 'data.bin', '--limit', '50', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      images: 50,
      accuracy: 1,
      top5: 1,
      confidence: [expect.any(Number), 1],
      loss: expect.any(Number),
      latencyMs: { median: expect.any(Number), iqr: expect.any(Number), batch: expect.any(Number) },
      device: 'cpu',
      preprocessing: expect.stringContaining('ImageNet'),
      warnings: [],
    });
    expect(stderr).toBe('Evaluating: 50 of 50 images\n');
  });
});

describe('prune', () => {
  const words = [
    'prune',
    'model.onnx',
    '--data',
    'data.bin',
    '--images',
    '40',
    '--limit',
    '20',
    '--target',
    'macs=0.6',
  ];

  it('--dry-run prints the plan and writes nothing', () => {
    const before = fs.readdirSync(task.folder);
    const { status, stdout, stderr } = cli(...words, '--dry-run');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^middle +(factorize|keep) /m);
    expect(stdout).toMatch(/^MACs .* -[4-9]\d\.\d %$/m);
    expect(stderr).toContain('Calibrating on');
    expect(fs.readdirSync(task.folder)).toEqual(before);
    const document = JSON.parse(cli('prune', 'model.onnx', '--dry-run', '--json').stdout);
    expect(document).toMatchObject({ settings: { method: 'basis' }, basis: 'weights', layers: expect.any(Array) });
  });

  it('--dry-run shows groups of channels', () => {
    const channel = ['prune', 'model.onnx', '--method', 'channel', '--dry-run'];
    const { status, stdout } = cli(...channel);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^group +channels +reason +layers$/m);
    expect(stdout).toMatch(/^stem +\d+ \/ \d+ .*stem, middle \(reads\)/m);
    const document = JSON.parse(cli(...channel, '--json').stdout);
    expect(document.layers[1]).toMatchObject({ name: 'middle', action: 'narrow', channels: expect.any(Number) });
    expect(document.groups[0]).toMatchObject({ name: 'stem', kept: expect.any(Number), channels: expect.any(Number) });
  });

  it('writes the model and its recipe, says what it did, and repeats it from the recipe', () => {
    const folder = temporaryFolder();
    const [output, again] = ['a.onnx', 'b.onnx'].map((name) => path.join(folder, name));
    const { status, stdout, stderr } = cli(
      ...words,
      '-o',
      output,
      '--save-recipe',
      path.join(folder, 'c.json'),
      '--json',
    );
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    const side = { params: expect.any(Number), macs: expect.any(Number), bytes: expect.any(Number) };
    expect(document).toMatchObject({
      output,
      recipe: path.join(folder, 'a.prune.json'),
      before: { ...side, accuracy: { accuracy: 1 }, latency: { median: expect.any(Number) } },
      after: { ...side, accuracy: { images: 20 } },
      layers: [
        { name: 'stem', action: 'keep', reason: 'its input has only 3 channels' },
        { name: 'middle', action: 'factorize', rank: expect.any(Number) },
        { name: 'last', action: 'factorize' },
        { name: 'head', action: 'keep' },
      ],
      warnings: [],
      device: 'cpu',
      seconds: expect.any(Number),
    });
    expect(document.verification.every(({ passed }: { passed: boolean }) => passed)).toBe(true);
    expect(stderr.split('\n')).toEqual(expect.arrayContaining([expect.stringMatching(/^Refitting middle/)]));
    expect(fs.readdirSync(folder).sort()).toEqual(['a.onnx', 'a.prune.json', 'c.json']);
    for (const recipe of ['a.prune.json', 'c.json']) {
      const content = recipeSchema.parse(JSON.parse(fs.readFileSync(path.join(folder, recipe), 'utf8')));
      expect(content).toMatchObject({
        target: { kind: 'macs', value: 0.6 },
        data: { calibrationImages: 40, limit: 20 },
      });
      expect(path.resolve(folder, content.model.path)).toBe(task.model);
    }
    const repeated = cli('prune', '--recipe', document.recipe, '-o', again);
    expect(repeated.status).toBe(0);
    expect(repeated.stdout).toMatch(/^✓ Outputs equal/m);
    expect(fs.readFileSync(again).equals(fs.readFileSync(output))).toBe(true);
  });

  it('130: interrupted, with nothing left behind', async () => {
    const folder = temporaryFolder();
    const temporary = fs.mkdtempSync(path.join(folder, 'tmp-'));
    const child = product.startCli(['prune', task.model, '--data', task.data, '-o', path.join(folder, 'never.onnx')], {
      TMPDIR: temporary,
    });
    const { status, stderr } = await interrupted(child, 'Refitting');
    expect(status).toBe(130);
    expect(stderr).toContain('espalier: The work was cancelled.');
    expect(fs.readdirSync(folder)).toEqual([path.basename(temporary)]);
    expect(fs.readdirSync(temporary)).toEqual([]);
  });
});

describe('a training that is interrupted', () => {
  it('says how to go on, and does so', async () => {
    const folder = temporaryFolder();
    const output = path.join(folder, 'trained.onnx');
    const words = ['prune', task.model, '--data', task.data, '-o', output, '--method', 'fine-tune', '--threads', '1'];
    const training = ['--epochs', '400', '--limit', '20'];
    const child = product.startCli([...words, ...training], {});
    const { status, stderr } = await interrupted(child, 'epoch 2 of 400');
    expect(status).toBe(130);
    expect(stderr).toContain('The same command with --resume goes on where it was');
    expect(fs.readdirSync(folder)).toEqual(['trained.onnx.checkpoint']);
    const other = cli(...words, '--epochs', '399', '--limit', '20', '--resume');
    expect(other.stderr).toContain('The checkpoint belongs to another run');
  });
});

describe('compare', () => {
  it('sets two models side by side', () => {
    const { status, stdout } = cli('compare', 'model.onnx', 'model.onnx', '--json');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ outputDifference: 0, accuracy: null });
    expect(document.layers).toHaveLength(4);
  });
});
