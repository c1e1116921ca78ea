/**
 * Time of one training step of CIFAR ResNets at batch 64 (forward, backward, clipping, SGD with Nesterov momentum;
 * normalization's statistics frozen), against PyTorch on the CPU with as many threads:
 *
 * - full: every weight of the whole network;
 * - fine-tuning: every weight of the network whose layers are factorized to half the multiply-accumulates;
 * - basis scaling: only scaling factors and classifier of that network.
 *
 *     npm run bench -- training [--threads 2] [--rounds 15] [--depth 20] [--depth 56] [--profile]
 *
 * PyTorch takes part when Python with torch is found ($PYTHON, python3, python). Steps are interleaved; medians are
 * compared. `--profile` adds where Espalier's time goes, by operator. Goal: not slower than PyTorch.
 *
 *     npm run bench -- training --memory 3000
 *
 * takes so many steps of ResNet-20 alone, all weights at batch 8, and prints the resident memory ten times on the way. Goal:
 * flat.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { objectiveOf } from '../src/train/objective';
import { sgd } from '../src/train/optimizers';
import { prepareModel } from '../src/train/prepare';
import { buildProgram } from '../src/train/program';
import { cifarResNet, imageSide } from './resnet';
import { fromLabels, metadata, noise } from './steps';

const BATCH = 64;

interface Task {
  readonly name: string;
  readonly depth: number;
  readonly choice: 'all' | 'scaling';
  readonly factorized: boolean;
}

interface Contestant {
  readonly name: string;
  /** Takes a step. @returns seconds */
  step(): Promise<number>;
  end(): Promise<void>;
}

function tasksOf(depth: number): Task[] {
  return [
    { name: `ResNet-${depth}, full`, depth, choice: 'all', factorized: false },
    { name: `ResNet-${depth}, fine-tuning at half the MACs`, depth, choice: 'all', factorized: true },
    { name: `ResNet-${depth}, basis scaling`, depth, choice: 'scaling', factorized: true },
  ];
}

async function espalier(
  { depth, choice, factorized }: Task,
  threads: number,
  { profile, batch = BATCH }: { profile?: string; batch?: number } = {},
): Promise<Contestant> {
  const { graph, inners } = cifarResNet(depth, factorized);
  const prepared = await prepareModel({ graph, metadata, choice, inners });
  const program = await buildProgram({
    graph: prepared.graph,
    metadata: prepared.metadata,
    trainables: prepared.trainables,
    objective: objectiveOf(prepared, fromLabels),
    optimizer: sgd({ momentum: 0.9, nesterov: true }),
    clip: 5,
    session: { threads, profile },
  });
  const feeds = noise(graph.inputs[0].name, [batch, 3, imageSide, imageSide]);
  let count = 0;
  return {
    name: 'Espalier',
    async step() {
      const start = performance.now();
      await program.step(feeds, 0.001, ++count);
      return (performance.now() - start) / 1000;
    },
    end: () => program.release(),
  };
}

function findPython(): string | null {
  const candidates = [process.env.PYTHON, 'python3', 'python'].filter((name) => name !== undefined);
  return candidates.find((name) => spawnSync(name, ['-c', 'import torch']).status === 0) ?? null;
}

async function pytorch(python: string, { depth, choice, factorized }: Task, threads: number): Promise<Contestant> {
  const words = [depth, BATCH, threads, choice, factorized ? 1 : 0].map(String);
  // npm runs scripts in the repository's root.
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(python, ['bench/training.py', ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('Python ended early; its message is above.');
    return JSON.parse(value) as T;
  };
  const { version } = await read<{ version: string }>();
  return {
    name: `PyTorch ${version}`,
    async step() {
      child.stdin.write('step\n');
      return (await read<{ seconds: number }>()).seconds;
    },
    async end() {
      child.stdin.end();
    },
  };
}

/** Steps in turn; the first few of each warm up. */
async function compete(contestants: readonly Contestant[], rounds: number): Promise<number[][]> {
  const times: number[][] = contestants.map(() => []);
  for (let round = -3; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries()) {
      const seconds = await contestant.step();
      if (round >= 0) times[i].push(seconds);
    }
  }
  return times.map((row) => row.sort((a, b) => a - b));
}

const median = (sorted: readonly number[]): number => sorted[sorted.length >> 1];
const ms = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`;

/** Milliseconds per step of each operator, from a profile that the runtime wrote. */
function timeByOperator(file: string): [operator: string, ms: number, nodes: number][] {
  const events = JSON.parse(readFileSync(file, 'utf8')) as {
    cat: string;
    name: string;
    dur: number;
    args?: { op_name?: string };
  }[];
  const runs = events.filter(({ name }) => name === 'model_run').length;
  const found = new Map<string, [number, number]>();
  for (const { cat, name, dur, args } of events) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || !args?.op_name) continue;
    const [time, nodes] = found.get(args.op_name) ?? [0, 0];
    found.set(args.op_name, [time + dur / 1000 / runs, nodes + 1 / runs]);
  }
  return [...found]
    .map(([operator, [time, nodes]]): [string, number, number] => [operator, time, Math.round(nodes)])
    .sort((a, b) => b[1] - a[1]);
}

async function profiled(task: Task, threads: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-bench-'));
  try {
    const contestant = await espalier(task, threads, { profile: path.join(folder, 'profile') });
    for (let i = 0; i < 6; i++) await contestant.step();
    await contestant.end();
    const [file] = readdirSync(folder);
    for (const [operator, time, nodes] of timeByOperator(path.join(folder, file)).slice(0, 10)) {
      console.log(`      ${time.toFixed(1).padStart(7)} ms  ${operator} × ${nodes}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function memory(steps: number, threads: number): Promise<void> {
  const contestant = await espalier(tasksOf(20)[0], threads, { batch: 8 });
  const stretch = Math.max(1, Math.round(steps / 10));
  for (let step = 1; step <= steps; step++) {
    await contestant.step();
    if (step % stretch === 0) console.log(`  step ${step}: ${Math.round(process.memoryUsage().rss / 1e6)} MB resident`);
  }
  await contestant.end();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      threads: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '15' },
      depth: { type: 'string', multiple: true, default: ['20', '56'] },
      profile: { type: 'boolean', default: false },
      memory: { type: 'string' },
    },
  });
  const threads = Number(values.threads);
  const rounds = Number(values.rounds);
  if (values.memory) return memory(Number(values.memory), threads);
  const python = findPython();
  console.log(`One training step at batch ${BATCH}, ${threads} threads, median (and least) of ${rounds}.`);
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, load average ${loadavg()[0].toFixed(1)} before`,
  );
  if (!python) console.log('Python with torch was not found (set PYTHON): no comparison.');
  for (const task of values.depth.flatMap((depth) => tasksOf(Number(depth)))) {
    const contestants = [await espalier(task, threads)];
    if (python) contestants.push(await pytorch(python, task, threads));
    const times = await compete(contestants, rounds);
    for (const contestant of contestants) await contestant.end();
    const shown = contestants.map(({ name }, i) => `${name} ${ms(median(times[i]))} (${ms(times[i][0])})`);
    const ratio = times[1]
      ? `  Espalier takes ${(median(times[0]) / median(times[1])).toFixed(2)} of PyTorch’s time`
      : '';
    console.log(`  ${task.name}: ${shown.join(', ')}${ratio}`);
    if (values.profile) await profiled(task, threads);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
