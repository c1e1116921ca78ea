/**
 * Accuracy of pruned CIFAR ResNets without training, by basis, score and refit, on all 10,000 test images.
 *
 *     npm run bench -- accuracy [--model resnet20_cifar10] [--images 800] [--limit 10000]
 *
 * Calibration sees training images only, and no labels. Needs the shared data folder beside the repository.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createService } from '../src/engine/service';
import { type RecipeInput, settingsSchema } from '../src/protocol/recipe';

// The bundle lies in out/execute/bench.
const root = path.resolve(__dirname, '../../..');
const data = path.resolve(root, '../shared/data');

type Options = NonNullable<RecipeInput['basis']>;

/** Accuracy, in percent, that each row has to reach at 70 and 50 % of the multiply-accumulates; null where none is set. */
interface Row {
  readonly name: string;
  readonly basis: Options;
  readonly goals: readonly [number | null, number | null];
}

const rows: readonly Row[] = [
  {
    name: 'weights, energy',
    basis: { basis: 'weights', score: 'energy', foldBatchNorm: false },
    goals: [null, null],
  },
  {
    name: 'weights with normalization, energy per MAC',
    basis: { basis: 'weights', foldBatchNorm: true },
    goals: [null, null],
  },
  {
    name: 'activations, energy',
    basis: { basis: 'activations', score: 'energy', refit: false, foldBatchNorm: false },
    goals: [null, null],
  },
  { name: 'activations, energy per MAC', basis: { basis: 'activations', refit: false }, goals: [85.5, 71] },
  { name: 'activations, energy per MAC, refit', basis: { basis: 'activations', refit: true }, goals: [null, 80.5] },
];
const targets = [0.7, 0.5] as const;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'resnet20_cifar10' },
      images: { type: 'string', default: '800' },
      limit: { type: 'string', default: '10000' },
    },
  });
  const model = path.join(data, 'models', `${values.model}.onnx`);
  if (!existsSync(model)) {
    console.error(`There is no '${model}': this benchmark needs the shared data folder.`);
    return 1;
  }
  const limit = Number(values.limit);
  const service = createService({ spectraWorker: path.join(root, 'dist/spectra.worker.js') });
  const storage = mkdtempSync(path.join(tmpdir(), 'espalier-accuracy-'));
  let hasFailed = false;
  try {
    for (const { name, basis, goals } of rows) {
      const cells: string[] = [];
      for (const [i, target] of targets.entries()) {
        const settings = settingsSchema.parse({
          method: 'basis',
          basis,
          target: { kind: 'macs', value: target },
          data: {
            path: path.join(data, 'cifar10/train_10k.bin'),
            evaluation: path.join(data, 'cifar10/test_batch.bin'),
            calibrationImages: Number(values.images),
            limit,
          },
        });
        const context = { signal: new AbortController().signal, progress: () => undefined };
        const run = await service.handlers.run({ path: model, settings, folder: root, storage }, context);
        if (cells.length === 0 && name === rows[0].name) {
          console.log(`${values.model}, ${run.before.accuracy?.images} images: ${percent(run.before)} before`);
        }
        const goal = goals[i];
        const accuracy = 100 * (run.after.accuracy?.accuracy ?? 0);
        // The goals are for all images of the test set.
        const isMissed = goal !== null && limit >= 10_000 && values.model === 'resnet20_cifar10' && accuracy < goal;
        hasFailed ||= isMissed;
        const share = ((100 * (run.after.macs ?? 0)) / (run.before.macs ?? 1)).toFixed(1);
        const note = goal === null ? '' : ` (goal ${goal} %${isMissed ? ', MISSED' : ''})`;
        cells.push(`${share} % of MACs: ${percent(run.after)}${note}, ${run.seconds.toFixed(0)} s`);
      }
      console.log(`${name.padEnd(44)} ${cells.join('   ')}`);
    }
  } finally {
    await service.dispose();
    rmSync(storage, { recursive: true, force: true });
  }
  return hasFailed ? 1 : 0;
}

function percent({ accuracy }: { accuracy: { accuracy: number | null } | null }): string {
  return `${(100 * (accuracy?.accuracy ?? Number.NaN)).toFixed(2)} %`;
}

main().then((code) => {
  process.exitCode = code;
});
