/**
 * Singular values of many layers across worker threads. A free thread takes the largest layer that waits, so that no
 * large one is left for the end; layers that somebody is looking at go first.
 */
import { cancelled } from '../../errors';
import type { Block } from '../../linalg/panels';
import type { SpectraRequest } from './messages';
import { inThreadRunner, type Runner, workerRunner } from './runner';

export interface SpectraJob {
  /**
   * [blocks, rows, cols], row-major; left as it is. A function is called when a thread is free, so that the weights of
   * layers that wait need no memory.
   */
  readonly data: Block | (() => Block);
  readonly blocks: number;
  readonly rows: number;
  readonly cols: number;
}

export interface SpectraOptions {
  /** Ends the job: rejects with `cancelled`, at once also when it is being computed. */
  readonly signal?: AbortSignal;
  /** Goes before all jobs that are not; among themselves, first come, first served. */
  readonly interactive?: boolean;
}

export interface SpectraPool {
  /**
   * Singular values of each block, descending: [blocks, min(rows, cols)].
   * Rejects with UserError `non-finite-matrix`, `matrix-too-large`, `spectra-worker-failed` or `cancelled`.
   */
  submit(job: SpectraJob, options?: SpectraOptions): Promise<Float64Array>;
  /** Rejects what is not finished with `cancelled` and ends the threads. */
  dispose(): Promise<void>;
}

/** A job that waits or runs. */
interface Task {
  readonly job: SpectraJob;
  readonly isInteractive: boolean;
  readonly cost: number;
  settle(outcome: Promise<Float64Array>): void;
}

/**
 * @param threads worker threads to use, started when there is work; 0 computes in this thread, one layer per turn of the
 * event loop
 * @param workerFile the bundled `worker.ts` (spectra.worker.js beside the engine's bundle)
 */
export function createSpectraPool(threads: number, workerFile: string | URL): SpectraPool {
  const waiting: Task[] = [];
  const running = new Map<Runner, Task>();
  const idle: Runner[] = [];
  const places = Math.max(1, threads);
  let isDisposed = false;
  let isDispatchDue = false;

  /** Once all jobs of this turn are in, so that the largest of them goes first. */
  function dispatchSoon(): void {
    if (isDispatchDue) return;
    isDispatchDue = true;
    queueMicrotask(() => {
      isDispatchDue = false;
      while (waiting.length > 0 && running.size < places) start(takeNext(waiting));
    });
  }

  function start(task: Task): void {
    const runner = idle.pop() ?? (threads === 0 ? inThreadRunner() : workerRunner(workerFile));
    running.set(runner, task);
    task.settle(
      run(runner, task.job).finally(() => {
        running.delete(runner);
        if (runner.isUsable()) idle.push(runner);
        dispatchSoon();
      }),
    );
  }

  function withdraw(task: Task): void {
    const place = waiting.indexOf(task);
    if (place >= 0) {
      waiting.splice(place, 1);
      task.settle(Promise.reject(cancelled()));
      return;
    }
    // Stopping a runner rejects what it runs.
    for (const [runner, current] of running) if (current === task) void runner.stop();
  }

  return {
    submit(job, { signal, interactive = false } = {}) {
      if (isDisposed || signal?.aborted) return Promise.reject(cancelled());
      return new Promise((resolve, reject) => {
        const onAbort = () => withdraw(task);
        const task: Task = {
          job,
          isInteractive: interactive,
          cost: cost(job),
          settle: (outcome) => {
            outcome.then(resolve, reject).finally(() => signal?.removeEventListener('abort', onAbort));
          },
        };
        signal?.addEventListener('abort', onAbort);
        waiting.push(task);
        dispatchSoon();
      });
    },
    async dispose() {
      isDisposed = true;
      const runners = [...running.keys(), ...idle.splice(0)];
      for (const task of [...waiting, ...running.values()]) withdraw(task);
      await Promise.all(runners.map((runner) => runner.stop()));
    },
  };
}

async function run(runner: Runner, { data, blocks, rows, cols }: SpectraJob): Promise<Float64Array> {
  const values = typeof data === 'function' ? data() : data;
  const request: SpectraRequest = { data: values, blocks, rows, cols };
  return runner.run(request);
}

/** Removes and returns the first interactive task, or else the most expensive one. */
function takeNext(waiting: Task[]): Task {
  let next = waiting.findIndex((task) => task.isInteractive);
  if (next < 0) next = waiting.reduce((best, task, i) => (task.cost > waiting[best].cost ? i : best), 0);
  return waiting.splice(next, 1)[0];
}

/** Multiply-accumulates of the Gram matrix and its tridiagonal form. */
function cost({ blocks, rows, cols }: SpectraJob): number {
  const [small, large] = [Math.min(rows, cols), Math.max(rows, cols)];
  return blocks * small * small * (large / 2 + (2 / 3) * small);
}
