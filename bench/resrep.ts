/**
 * What ResRep costs: a training step of ResNet-20 and ResNet-56 at batch 64 with compactors and without, steps in turn,
 * medians. With normalization's statistics frozen compactors are products of weights; where a step updates them, they
 * are layers of their own.
 *
 *     npm run bench -- resrep [--threads 2] [--rounds 12] [--depths 20,56] [--statistics]
 *
 * Goal: a step of at most 1.25 times a plain one.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { OpenModels } from '../src/engine/models';
import { compactionWork, siteOf, type TrainingRun } from '../src/engine/resrep';
import { serializeGraph } from '../src/formats/onnx/serialize';
import { settingsSchema, trainingSchema } from '../src/protocol/recipe';
import { quantile } from '../src/runtime/latency';
import { objectiveOf } from '../src/train/objective';
import { sgd } from '../src/train/optimizers';
import { prepareModel } from '../src/train/prepare';
import { buildProgram } from '../src/train/program';
import { cifarResNet, imageSide } from './resnet';
import { fromLabels, metadata, noise } from './steps';

const BATCH = 64;

const { values: options } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '12' },
    depths: { type: 'string', default: '20,56' },
    statistics: { type: 'boolean', default: false },
  },
});
const [threads, rounds] = [options.threads, options.rounds].map(Number);
const trainsStatistics = options.statistics;
console.log(`${cpus()[0]?.model}, ${threads} threads, load ${loadavg()[0].toFixed(1)}`);

async function measure(depth: number): Promise<void> {
  const { graph } = cifarResNet(depth, false);
  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-bench-'));
  const file = path.join(folder, 'network.onnx');
  writeFileSync(file, serializeGraph(graph, metadata));
  const models = new OpenModels();
  const training = trainingSchema.parse({ epochs: 1 });
  const settings = settingsSchema.parse({ method: 'resrep', target: { kind: 'macs', value: 0.5 } });
  const site = await siteOf(await models.withShapes(file), settings);
  const run: TrainingRun = { epochs: 10, steps: 1000, stepsPerEpoch: 100, rate: () => 0.01, of: () => run };
  const work = compactionWork(site, { ...settings, training }, run);
  const feeds = noise(graph.inputs[0].name, [BATCH, 3, imageSide, imageSide]);
  const programOf = async (compacts: boolean) => {
    const source = compacts ? work.decomposed.graph : site.from.model.graph;
    const compactors = compacts ? work.names : [];
    const prepared = await prepareModel({ graph: source, metadata, choice: 'all', trainsStatistics, compactors });
    return buildProgram({
      ...prepared,
      objective: objectiveOf(prepared, fromLabels),
      optimizer: compacts ? work.optimizer : sgd({ momentum: 0.9, nesterov: true }),
      weightDecay: 1e-4,
      clip: 5,
      session: { threads },
    });
  };
  const programs = [await programOf(false), await programOf(true)];
  const times: number[][] = [[], []];
  for (let round = 0; round <= rounds; round++) {
    for (const [i, program] of programs.entries()) {
      const start = performance.now();
      const given = i === 1 ? { ...feeds, ...work.keeper.before(round, program) } : feeds;
      await program.step(given, 1e-4, round + 1);
      // The first step sets up memory.
      if (round > 0) times[i].push(performance.now() - start);
    }
  }
  for (const program of programs) await program.release();
  models.closeAll();
  rmSync(folder, { recursive: true });
  const [plain, compacted] = times.map((all) => quantile(all, 0.5));
  const places = site.compaction.places.length;
  console.log(
    `ResNet-${depth}, ${places} compactors: plain ${plain.toFixed(0)} ms, with compactors ${compacted.toFixed(0)} ms, ratio ${(compacted / plain).toFixed(2)}`,
  );
}

async function main(): Promise<void> {
  for (const depth of options.depths.split(',').map(Number)) await measure(depth);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
