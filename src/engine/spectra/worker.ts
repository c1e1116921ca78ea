/** A thread of the spectra pool: for each message with the matrices of one layer, one reply with their singular values. */
import { parentPort } from 'node:worker_threads';
import { errorInfo, UserError } from '../../errors';
import { blockSingularValues } from '../../linalg/svd';
import type { SpectraReply, SpectraRequest } from './messages';

parentPort?.on('message', ({ data, blocks, rows, cols }: SpectraRequest) => {
  let reply: SpectraReply;
  try {
    reply = { values: blockSingularValues(data, blocks, rows, cols) };
  } catch (error) {
    // Anything else is a bug: it ends this thread, and the pool reports it.
    if (!(error instanceof UserError)) throw error;
    reply = { error: errorInfo(error) };
  }
  parentPort?.postMessage(reply, 'values' in reply ? [reply.values.buffer as ArrayBuffer] : []);
});
