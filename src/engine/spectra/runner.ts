/** Where singular values are computed, one layer at a time: a worker thread, or the calling thread. */
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { cancelled, spectraWorkerFailed, UserError } from '../../errors';
import { blockSingularValues } from '../../linalg/svd';
import type { SpectraReply, SpectraRequest } from './messages';

export interface Runner {
  /** One request at a time; rejects when the thread fails or is stopped meanwhile. */
  run(request: SpectraRequest): Promise<Float64Array>;
  /** False once stopped or failed. */
  isUsable(): boolean;
  stop(): Promise<void>;
}

/** Computes in this thread, after letting other events have their turn. */
export function inThreadRunner(): Runner {
  let isStopped = false;
  return {
    async run({ data, blocks, rows, cols }) {
      await setImmediate();
      if (isStopped) throw cancelled();
      return blockSingularValues(data, blocks, rows, cols);
    },
    isUsable: () => !isStopped,
    async stop() {
      isStopped = true;
    },
  };
}

/** Computes in a thread of its own, which does not keep the process alive while it has nothing to do. */
export function workerRunner(file: string | URL): Runner {
  const worker = new Worker(file);
  let failure: UserError | null = null;
  let rejectCurrent: ((error: UserError) => void) | null = null;

  const fail = (error: UserError) => {
    failure ??= error;
    rejectCurrent?.(failure);
  };
  worker.unref();
  worker.on('error', (error: Error) => fail(spectraWorkerFailed({ reason: error.message })));
  worker.on('messageerror', (error: Error) => fail(spectraWorkerFailed({ reason: error.message })));
  worker.on('exit', (code) => fail(spectraWorkerFailed({ reason: `it ended with code ${code}` })));

  return {
    async run(request) {
      if (failure) throw failure;
      // A copy of its own can be handed over: the original may be a view of a whole file, or be needed again.
      const data = request.data.slice();
      worker.ref();
      try {
        return await new Promise<Float64Array>((resolve, reject) => {
          rejectCurrent = reject;
          worker.once('message', (reply: SpectraReply) => {
            if ('values' in reply) resolve(reply.values);
            else reject(new UserError(reply.error.code, reply.error.message, reply.error.hint));
          });
          worker.postMessage({ ...request, data }, [data.buffer as ArrayBuffer]);
        });
      } finally {
        rejectCurrent = null;
        worker.unref();
      }
    },
    isUsable: () => failure === null,
    async stop() {
      fail(cancelled());
      await worker.terminate();
    },
  };
}
