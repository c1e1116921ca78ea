/**
 * What pruning brings in time: original and pruned model in turn on the same input, for several multiples of ranks and
 * channels, beside the ratio of their multiply-accumulates. Models are the CIFAR networks of the shared folder when it is
 * there, else the sample model; what is removed goes by the weights, which is enough for timing.
 *
 * `npm run bench -- latency [MODEL…] [--method channel] [--target 0.5] [--batch 16] [--threads 2]`
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createService } from '../src/engine/service';
import { openModel } from '../src/formats';
import { settingsSchema } from '../src/protocol/recipe';
import { channelBlock } from '../src/runtime/channelBlock';
import { measureLatency } from '../src/runtime/latency';
import { dummyInputs } from '../src/runtime/shapes';

const shared = path.resolve('../shared/data/models');
const usual = existsSync(shared)
  ? ['resnet20_cifar10.onnx', 'resnet56_cifar10.onnx', 'vgg8_cifar10.onnx'].map((file) => path.join(shared, file))
  : [path.resolve('sample/workspace/shapes-cnn.onnx')];
const MULTIPLES = [1, 8, 16] as const;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      method: { type: 'string', default: 'basis' },
      target: { type: 'string', default: '0.5' },
      batch: { type: 'string', default: '16' },
      threads: { type: 'string', default: '0' },
      seconds: { type: 'string', default: '6' },
    },
  });
  const [target, batch, threads, seconds] = [values.target, values.batch, values.threads, values.seconds].map(
    Number,
  ) as [number, number, number, number];
  console.log(`The runtime computes channels in blocks of ${await channelBlock({ threads })} here.`);
  const service = createService({ spectraWorker: null });
  const storage = mkdtempSync(path.join(tmpdir(), 'espalier-bench-'));
  const context = { signal: new AbortController().signal, progress: () => undefined };
  try {
    for (const model of positionals.length ? positionals.map((file) => path.resolve(file)) : usual) {
      const rows: string[] = [];
      const candidates: string[] = [];
      for (const multiple of MULTIPLES) {
        const settings = settingsSchema.parse({
          method: values.method,
          target: { kind: 'macs', value: target },
          multiple,
          threads,
        });
        const run = await service.handlers.run({ path: model, settings, folder: storage, storage }, context);
        candidates.push(run.candidate);
        rows.push(`multiples of ${multiple}: MACs ÷ ${((run.before.macs ?? 0) / (run.after.macs ?? 1)).toFixed(2)}`);
      }
      const opened = openModel(model);
      const inputs = Object.fromEntries(
        opened.graph.inputs
          .filter((input) => !opened.graph.initializers.has(input.name))
          .map(({ name, shape }) => [name, [batch, ...(shape ?? []).slice(1).map(Number)]]),
      );
      const times = await measureLatency([model, ...candidates], dummyInputs(opened.graph, inputs), {
        batch,
        threads,
        seconds,
      });
      opened.close();
      const [original, ...pruned] = times;
      if (!original) continue;
      console.log(
        `${path.basename(model)}: ${original.median.toFixed(2)} ms (IQR ${original.iqr.toFixed(2)}) for a batch of ${batch}, ${original.threads} threads, ${original.repetitions} rounds`,
      );
      for (const [i, time] of pruned.entries()) {
        console.log(
          `  ${rows[i]}, ${time.median.toFixed(2)} ms (IQR ${time.iqr.toFixed(2)}): ${(original.median / time.median).toFixed(2)}× as fast`,
        );
      }
    }
  } finally {
    await service.dispose();
    rmSync(storage, { recursive: true, force: true });
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
