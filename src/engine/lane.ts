/**
 * A lane: one worker thread with its requests, away from the message loop. A lane of jobs does one thing at a time, in
 * the order asked; in a lane for looking, a request that waits for something does not hold up the others.
 * The wire is plain `postMessage`: `{ id, method, params }` there, `{ id, progress | ok | error }` back, `{ id, cancel }`
 * for cooperative cancelling.
 */
import { Worker } from 'node:worker_threads';
import { cancelled, type ErrorInfo, laneStopped, UserError } from '../errors';
import type { EngineMethod, EngineParams, EngineResult } from '../protocol/engine';
import type { Progress } from '../protocol/plan';
import type { RequestContext } from '../protocol/rpc';
import type { News } from './learned';

export type LaneRequest =
  | { readonly id: number; readonly method: EngineMethod; readonly params: unknown }
  | { readonly id: number; readonly cancel: true }
  /** Something one lane found out that another can use. */
  | { readonly news: News };

export type LaneReply =
  | { readonly id: number; readonly ok: unknown }
  | { readonly id: number; readonly error: ErrorInfo; readonly stack?: string }
  | { readonly id: number; readonly progress: Progress }
  | { readonly news: News };

interface Open {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  readonly progress: (progress: Progress) => void;
}

/** What a worker that starts anew is told again. */
const TOLD_KEPT = 8;

export class Lane {
  private worker: Worker | undefined;
  private lastId = 0;
  private readonly open = new Map<number, Open>();
  private readonly told: News[] = [];
  /** One at a time: the runtime's threads are enough for one job. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly script: string,
    private readonly onNews: (news: News) => void,
    private readonly log: (text: string) => void,
    private readonly order: 'one-by-one' | 'at-once' = 'one-by-one',
  ) {}

  /** Sends a request; one by one, it starts when those before it have ended. */
  request<M extends EngineMethod>(
    method: M,
    params: EngineParams<M>,
    { signal, progress }: RequestContext,
  ): Promise<EngineResult<M>> {
    let isWaiting = true;
    const run = (): Promise<EngineResult<M>> => {
      isWaiting = false;
      if (signal.aborted) return Promise.reject(cancelled());
      return this.send((this.worker ??= this.start()), method, params, { signal, progress });
    };
    if (this.order === 'at-once') return run();
    const result = this.tail.then(run, run);
    this.tail = result.catch(() => undefined);
    return new Promise((resolve, reject) => {
      result.then(resolve, reject);
      // Nothing has begun that would have to be cleaned up.
      const cancelWaiting = (): void => {
        if (isWaiting) reject(cancelled());
      };
      signal.addEventListener('abort', cancelWaiting, { once: true });
    });
  }

  /** Sends what is about the job that is being done: it waits for nothing, and does nothing when nothing is done. */
  async steer<M extends EngineMethod>(method: M, params: EngineParams<M>, context: RequestContext): Promise<void> {
    if (this.worker && this.open.size > 0) await this.send(this.worker, method, params, context);
  }

  /** Passes on what another lane found out; also to a worker that starts later. */
  tell(news: News): void {
    this.told.push(news);
    if (this.told.length > TOLD_KEPT) this.told.shift();
    this.worker?.postMessage({ news } satisfies LaneRequest);
  }

  async stop(): Promise<void> {
    await this.worker?.terminate();
  }

  private send<M extends EngineMethod>(
    worker: Worker,
    method: M,
    params: EngineParams<M>,
    { signal, progress }: RequestContext,
  ): Promise<EngineResult<M>> {
    const id = ++this.lastId;
    return new Promise<EngineResult<M>>((resolve, reject) => {
      const cancel = (): void => worker.postMessage({ id, cancel: true } satisfies LaneRequest);
      signal.addEventListener('abort', cancel, { once: true });
      const done = (): void => signal.removeEventListener('abort', cancel);
      this.open.set(id, {
        resolve: (value: EngineResult<M>) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
        progress,
      } as Open);
      worker.postMessage({ id, method, params } satisfies LaneRequest);
    });
  }

  private start(): Worker {
    const worker = new Worker(this.script);
    for (const news of this.told) worker.postMessage({ news } satisfies LaneRequest);
    worker.on('message', (reply: LaneReply) => this.receive(reply));
    worker.on('error', (error) => this.log(`A worker failed: ${error.stack ?? error}`));
    worker.on('exit', (code) => {
      if (this.worker === worker) this.worker = undefined;
      for (const { reject } of this.open.values()) reject(laneStopped({ code }));
      this.open.clear();
    });
    return worker;
  }

  private receive(reply: LaneReply): void {
    if ('news' in reply) {
      this.onNews(reply.news);
      return;
    }
    const request = this.open.get(reply.id);
    if (!request) return;
    if ('progress' in reply) {
      request.progress(reply.progress);
      return;
    }
    this.open.delete(reply.id);
    if ('ok' in reply) {
      request.resolve(reply.ok as never);
      return;
    }
    if (reply.stack) this.log(reply.stack);
    request.reject(new UserError(reply.error.code, reply.error.message, reply.error.hint));
  }
}
