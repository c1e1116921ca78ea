/** Entry of a lane's worker thread: serves the engine's methods, one at a time, with progress and cancelling. */
import path from 'node:path';
import { parentPort } from 'node:worker_threads';
import { cancelled, errorInfo, UserError } from '../errors';
import type { RequestContext } from '../protocol/rpc';
import type { LaneReply, LaneRequest } from './lane';
import { createService } from './service';

if (!parentPort) throw new Error('This file runs in a worker thread only.');
const port = parentPort;
const post = (reply: LaneReply): void => port.postMessage(reply);
const service = createService({
  spectraWorker: path.join(__dirname, 'spectra.worker.js'),
  tell: (news) => post({ news }),
});
const running = new Map<number, AbortController>();

port.on('message', async (request: LaneRequest) => {
  if ('news' in request) return service.adopt(request.news);
  if ('cancel' in request) return running.get(request.id)?.abort(cancelled());
  const { id, method, params } = request;
  const abort = new AbortController();
  running.set(id, abort);
  const handler = service.handlers[method] as (params: unknown, context: RequestContext) => Promise<unknown>;
  try {
    const ok = await handler(params, { signal: abort.signal, progress: (progress) => post({ id, progress }) });
    post({ id, ok });
  } catch (error) {
    const shown = abort.signal.aborted ? cancelled() : error;
    const stack = shown instanceof UserError ? undefined : (shown as Error)?.stack;
    post({ id, error: errorInfo(shown), stack });
  } finally {
    running.delete(id);
  }
});
