/**
 * Singular values of all 54 convolution and dense layers of a ResNet-50, against NumPy with as many threads.
 *
 *     npm run bench -- spectra [--threads 2] [--rounds 5]
 *
 * NumPy takes part when Python with NumPy is found ($PYTHON, python3, python). Rounds are interleaved; medians are compared.
 * Goal: at most half the time of `numpy.linalg.svd(compute_uv=False)`, which computes in float32 as the weights are stored.
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { createSpectraPool, type SpectraPool } from '../src/engine/spectra/pool';
import { multiply } from '../src/linalg/matrix';
import { type Random, seededRandom } from '../src/linalg/random';

// Benchmarks are started in the repository's root.
const root = process.cwd();

interface Layer {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
}

/** Seconds for all layers, and the values of one layer after the other. */
interface Round {
  readonly seconds: number;
  readonly values: Float64Array;
}

interface Contestant {
  readonly name: string;
  run(): Promise<Round>;
}

/** [rows, cols] of the weights as matrices: output channels by inputs of one output. */
function resNet50Shapes(): [number, number][] {
  const shapes: [number, number][] = [[64, 3 * 49]];
  let inputs = 64;
  for (const [width, blocks] of [
    [64, 3],
    [128, 4],
    [256, 6],
    [512, 3],
  ]) {
    for (let block = 0; block < blocks; block++) {
      shapes.push([width, inputs], [width, width * 9], [4 * width, width]);
      if (block === 0) shapes.push([4 * width, inputs]);
      inputs = 4 * width;
    }
  }
  shapes.push([1000, 2048]);
  return shapes;
}

/** Random weights whose singular values fall off like those of trained layers: some strong directions, a long tail. */
function decayingLayer([rows, cols]: [number, number], random: Random): Layer {
  const rank = Math.min(rows, cols);
  const left = Float64Array.from({ length: rows * rank }, (_, i) => random.normal() * ((i % rank) + 1) ** -0.7);
  const right = Float64Array.from({ length: rank * cols }, () => random.normal() / Math.sqrt(cols));
  return { rows, cols, data: Float32Array.from(multiply(left, right, rows, rank, cols)) };
}

function espalier(pool: SpectraPool, layers: readonly Layer[]): Contestant {
  return {
    name: 'Espalier',
    async run() {
      const start = performance.now();
      const found = await Promise.all(layers.map((layer) => pool.submit({ ...layer, blocks: 1 })));
      const seconds = (performance.now() - start) / 1000;
      return { seconds, values: Float64Array.from(found.flatMap((values) => Array.from(values))) };
    },
  };
}

function findPython(): string | null {
  const candidates = [process.env.PYTHON, 'python3', 'python'].filter((name) => name !== undefined);
  return candidates.find((name) => spawnSync(name, ['-c', 'import numpy']).status === 0) ?? null;
}

/** A Python process that computes when asked. */
class NumPy {
  version = '';
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string, threads: number, files: readonly string[]) {
    const variables = ['OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS'];
    const env = { ...process.env, ...Object.fromEntries(variables.map((name) => [name, String(threads)])) };
    this.child = spawn(python, [path.join(root, 'bench/spectra.py'), ...files], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async start(): Promise<void> {
    this.version = (await this.read<{ numpy: string }>()).numpy;
  }

  contestant(name: string, method: 'svd' | 'eigvalsh'): Contestant {
    return {
      name,
      run: async () => {
        this.child.stdin.write(`${method}\n`);
        const { seconds, values } = await this.read<{ seconds: number; values: string }>();
        return { seconds, values: new Float64Array(Uint8Array.from(Buffer.from(values, 'base64')).buffer) };
      },
    };
  }

  end(): void {
    this.child.stdin.end();
  }

  private async read<T>(): Promise<T> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('Python ended early; its message is above.');
    return JSON.parse(value) as T;
  }
}

/** Runs the contestants in turn, once to warm up and then `rounds` times. */
async function compete(contestants: readonly Contestant[], rounds: number): Promise<Map<Contestant, Round[]>> {
  const results = new Map<Contestant, Round[]>(contestants.map((contestant) => [contestant, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const contestant of contestants) {
      const result = await contestant.run();
      if (round > 0) results.get(contestant)?.push(result);
    }
  }
  return results;
}

function medianSeconds(rounds: readonly Round[]): number {
  const sorted = rounds.map(({ seconds }) => seconds).sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Largest difference of two sets of values, each against the largest value of its layer. */
function largestDifference(layers: readonly Layer[], a: Float64Array, b: Float64Array): number {
  let [largest, start] = [0, 0];
  for (const { rows, cols } of layers) {
    const end = start + Math.min(rows, cols);
    for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]) / a[start]);
    start = end;
  }
  return largest;
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: { threads: { type: 'string', default: '2' }, rounds: { type: 'string', default: '5' } },
  });
  const threads = Number(options.threads);
  const rounds = Number(options.rounds);
  const random = seededRandom(50);
  const layers = resNet50Shapes().map((shape) => decayingLayer(shape, random));
  console.log(
    `Singular values of ${layers.length} layers with the shapes of ResNet-50, ${threads} threads, median of ${rounds}.`,
  );
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.versions.node}, load average ${loadavg()[0].toFixed(1)} before`,
  );

  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-bench-'));
  const pool = createSpectraPool(threads, path.join(root, 'dist/spectra.worker.js'));
  const python = findPython();
  let numpy: NumPy | null = null;
  try {
    const ours = espalier(pool, layers);
    const contestants = [ours];
    if (python) {
      const files = [path.join(folder, 'shapes.json'), path.join(folder, 'weights.bin')];
      writeFileSync(files[0], JSON.stringify(layers.map(({ rows, cols }) => [rows, cols])));
      writeFileSync(files[1], Buffer.concat(layers.map(({ data }) => new Uint8Array(data.buffer))));
      numpy = new NumPy(python, threads, files);
      await numpy.start();
      contestants.push(
        numpy.contestant(`NumPy ${numpy.version} svd(compute_uv=False), float32`, 'svd'),
        numpy.contestant(`NumPy ${numpy.version} Gram + eigvalsh, float64`, 'eigvalsh'),
      );
    } else {
      console.log('Python with NumPy was not found (set PYTHON): no comparison.');
    }
    const results = await compete(contestants, rounds);
    const ourRounds = results.get(ours) ?? [];
    for (const [{ name }, times] of results) {
      const seconds = times.map((round) => round.seconds.toFixed(2)).join(' ');
      console.log(`  ${medianSeconds(times).toFixed(3)} s  ${name}  (${seconds})`);
    }
    for (const [contestant, times] of results) {
      if (contestant === ours) continue;
      const ratio = medianSeconds(ourRounds) / medianSeconds(times);
      const difference = largestDifference(layers, ourRounds[0].values, times[0].values);
      console.log(
        `Espalier takes ${ratio.toFixed(2)} of the time of ${contestant.name}; values differ by at most ${difference.toExponential(1)} of a layer's largest.`,
      );
    }
  } finally {
    numpy?.end();
    await pool.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
