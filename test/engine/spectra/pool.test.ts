import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSpectraPool, type SpectraJob, type SpectraPool } from '../../../src/engine/spectra/pool';
import { UserError } from '../../../src/errors';
import { seededRandom } from '../../../src/linalg/random';
import { blockSingularValues } from '../../../src/linalg/svd';

let folder: string;
let workerFile: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'espalier-pool-'));
  workerFile = path.join(folder, 'spectra.worker.js');
  const entryPoints = [path.resolve(__dirname, '../../../src/engine/spectra/worker.ts')];
  buildSync({ entryPoints, outfile: workerFile, bundle: true, platform: 'node', target: 'node20' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function randomJob(blocks: number, rows: number, cols: number, seed = 1): SpectraJob & { data: Float32Array } {
  const random = seededRandom(seed);
  return { blocks, rows, cols, data: Float32Array.from({ length: blocks * rows * cols }, () => random.normal()) };
}

/** A job that takes seconds: long enough to be still running when something happens to it. */
const longJob = () => randomJob(60, 400, 400);

async function withPool(threads: number, use: (pool: SpectraPool) => Promise<void>, file = workerFile): Promise<void> {
  const pool = createSpectraPool(threads, file);
  try {
    await use(pool);
  } finally {
    await pool.dispose();
  }
}

/** Submits jobs named by their key and returns the names in the order in which they started. */
async function startOrder(pool: SpectraPool, jobs: readonly [string, SpectraJob, boolean][]): Promise<string[]> {
  const started: string[] = [];
  await Promise.all(
    jobs.map(([name, job, interactive]) => {
      const data = () => {
        started.push(name);
        return typeof job.data === 'function' ? job.data() : job.data;
      };
      return pool.submit({ ...job, data }, { interactive });
    }),
  );
  return started;
}

describe.each([0, 1, 2])('spectra pool with %i threads', (threads) => {
  it('computes the singular values of each block and leaves the weights alone', async () => {
    await withPool(threads, async (pool) => {
      const jobs = [randomJob(1, 16, 27), randomJob(4, 8, 18, 2), randomJob(1, 40, 10, 3), randomJob(2, 1, 1, 4)];
      const results = await Promise.all(jobs.map((job) => pool.submit(job)));
      for (const [i, { data, blocks, rows, cols }] of jobs.entries()) {
        expect(data).toHaveLength(blocks * rows * cols);
        expect(results[i]).toEqual(blockSingularValues(data, blocks, rows, cols));
      }
    });
  });

  it('takes a view of a larger buffer for what it shows', async () => {
    await withPool(threads, async (pool) => {
      const whole = randomJob(1, 10, 10).data;
      const data = whole.subarray(10, 60);
      expect(await pool.submit({ data, blocks: 1, rows: 5, cols: 10 })).toEqual(blockSingularValues(data, 1, 5, 10));
      expect(whole).toHaveLength(100);
    });
  });

  it('reports weights that are not finite and goes on', async () => {
    await withPool(threads, async (pool) => {
      const data = Float32Array.of(1, 2, Number.NaN, 4);
      const failing = pool.submit({ data, blocks: 1, rows: 2, cols: 2 });
      await expect(failing).rejects.toBeInstanceOf(UserError);
      await expect(failing).rejects.toMatchObject({ code: 'non-finite-matrix' });
      expect(await pool.submit({ data: Float32Array.of(3, 0, 0, 4), blocks: 1, rows: 2, cols: 2 })).toEqual(
        Float64Array.of(4, 3),
      );
    });
  });

  it('passes on what reading the weights throws', async () => {
    await withPool(threads, async (pool) => {
      const unreadable = () => {
        throw new Error('the file is gone');
      };
      await expect(pool.submit({ data: unreadable, blocks: 1, rows: 2, cols: 2 })).rejects.toThrow('the file is gone');
      const job = randomJob(1, 3, 3);
      expect(await pool.submit(job)).toHaveLength(3);
    });
  });

  it('cancels a job that waits, and one submitted too late', async () => {
    await withPool(threads, async (pool) => {
      const abort = new AbortController();
      const job = pool.submit(randomJob(1, 8, 8), { signal: abort.signal });
      abort.abort();
      await expect(job).rejects.toMatchObject({ code: 'cancelled' });
      await expect(pool.submit(randomJob(1, 8, 8), { signal: abort.signal })).rejects.toMatchObject({
        code: 'cancelled',
      });
    });
  });

  it('rejects everything when disposed', async () => {
    const pool = createSpectraPool(threads, workerFile);
    const jobs = [pool.submit(randomJob(1, 8, 8)), pool.submit(randomJob(1, 9, 9))];
    const outcomes = Promise.allSettled(jobs);
    await pool.dispose();
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: 'cancelled' } });
    await expect(pool.submit(randomJob(1, 8, 8))).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('order of work', () => {
  it.each([0, 1])('is interactive first, then largest first, with %i threads', async (threads) => {
    await withPool(threads, async (pool) => {
      const order = await startOrder(pool, [
        ['small', randomJob(1, 4, 4), false],
        ['large', randomJob(1, 60, 200), false],
        ['grouped', randomJob(32, 8, 16), false],
        ['middle', randomJob(1, 30, 100), false],
        ['looked at', randomJob(1, 4, 4), true],
        ['looked at next', randomJob(1, 60, 200), true],
      ]);
      expect(order).toEqual(['looked at', 'looked at next', 'large', 'middle', 'grouped', 'small']);
    });
  });

  it('lets a later interactive job overtake a queue', async () => {
    await withPool(1, async (pool) => {
      const bulk = Promise.all(Array.from({ length: 6 }, (_, i) => pool.submit(randomJob(4, 150, 150, i))));
      let isBulkDone = false;
      void bulk.then(() => (isBulkDone = true));
      await new Promise((resolve) => setImmediate(resolve));
      await pool.submit(randomJob(1, 4, 4), { interactive: true });
      expect(isBulkDone).toBe(false);
      await bulk;
    });
  });
});

describe('worker threads', () => {
  it('are stopped when their job is cancelled, and replaced', async () => {
    await withPool(1, async (pool) => {
      const abort = new AbortController();
      const { data, ...sizes } = longJob();
      const started = () => {
        setTimeout(() => abort.abort(), 20);
        return data;
      };
      const long = pool.submit({ ...sizes, data: started }, { signal: abort.signal });
      const next = pool.submit(randomJob(1, 5, 5));
      await expect(long).rejects.toMatchObject({ code: 'cancelled' });
      expect(await next).toHaveLength(5);
    });
  });

  it('that die reject their job and are replaced', async () => {
    // Dies at the first job it gets, and works once the marker file is there.
    const marker = path.join(folder, 'died');
    const file = path.join(folder, 'dying.js');
    writeFileSync(
      file,
      `const { existsSync, writeFileSync } = require('node:fs');
       if (existsSync(${JSON.stringify(marker)})) require('./spectra.worker.js');
       else require('node:worker_threads').parentPort.on('message', () => { writeFileSync(${JSON.stringify(marker)}, ''); process.exit(7); });`,
    );
    await withPool(
      1,
      async (pool) => {
        const failing = pool.submit(randomJob(1, 9, 9));
        const next = pool.submit(randomJob(1, 5, 5));
        await expect(failing).rejects.toMatchObject({ code: 'spectra-worker-failed', message: /code 7/ });
        expect(await next).toHaveLength(5);
      },
      file,
    );
  });

  it('that cannot start reject their job with the reason', async () => {
    await withPool(
      1,
      async (pool) => {
        await expect(pool.submit(randomJob(1, 4, 4))).rejects.toMatchObject({
          code: 'spectra-worker-failed',
          message: /absent\.js/,
        });
      },
      path.join(folder, 'absent.js'),
    );
  });
});
