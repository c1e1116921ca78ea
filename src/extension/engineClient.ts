/**
 * The engine's life as seen from the extension host: forked at the first request, ended shortly after the last editor
 * closes, restarted by the next request after a crash, and replaced now and then because inference sessions leak.
 * A cancel asks first and kills after a grace period. Knows nothing of VS Code, so that it can be tested alone.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import {
  createMessageConnection,
  IPCMessageReader,
  IPCMessageWriter,
  type MessageConnection,
} from 'vscode-jsonrpc/node';
import { cancelled, engineStopped, UserError } from '../errors';
import { type EngineMethod, type EngineParams, type EngineResult, lanes } from '../protocol/engine';
import type { Progress } from '../protocol/plan';
import { type EngineRequester, engineRequester, type RequestOptions } from '../protocol/rpc';

export interface EngineClientOptions {
  /** Script that the child runs. */
  readonly entry: string;
  /** One line that the engine wrote, or that tells of its life. */
  log(line: string): void;
  /** Called whenever what the engine is doing changes. */
  onActivity?(activity: EngineActivity): void;
  /** Milliseconds without editors after which the engine ends. */
  idleMs(): number;
  /** Milliseconds between asking for a cancel and killing. */
  readonly graceMs?: number;
  /** Long jobs after which an idle engine is replaced. */
  readonly jobsPerProcess?: number;
}

export interface EngineActivity {
  /** Requests without an answer yet. */
  readonly open: number;
  /** The newest progress of a long job; null when none is going on. */
  readonly progress: Progress | null;
}

/** Why we end a process ourselves. */
type Ending = 'stuck look' | 'stuck work' | 'idle' | 'recycle' | 'restart';

/**
 * Whether a request that is not the cause may simply be asked again: looks may, and work that only waited for a job that
 * did not stop, as work is done one by one.
 */
const mayRepeat = (ending: Ending, isWork: boolean): boolean => !isWork || ending === 'stuck work';

interface Running {
  readonly child: ChildProcess;
  readonly connection: MessageConnection;
  readonly requester: EngineRequester;
  readonly exited: Promise<{ readonly exitCode: number | null; readonly signal: string | null }>;
  ending: Ending | null;
  /** Long jobs finished. */
  jobs: number;
  lastWords: string;
}

export class EngineClient implements EngineRequester {
  private running: Running | null = null;
  private open = 0;
  private editors = 0;
  private idleTimer: NodeJS.Timeout | undefined;
  private progress: Progress | null = null;
  private disposed = false;

  constructor(private readonly options: EngineClientOptions) {}

  /** Process id of the engine; undefined while there is none. */
  get pid(): number | undefined {
    return this.running?.child.pid;
  }

  /** Keeps the engine alive until the returned function is called; each open editor holds one. */
  hold(): () => void {
    this.editors++;
    clearTimeout(this.idleTimer);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.editors--;
      this.restWhenIdle();
    };
  }

  async request<M extends EngineMethod>(
    method: M,
    params: EngineParams<M>,
    options: RequestOptions = {},
  ): Promise<EngineResult<M>> {
    if (options.token?.isCancellationRequested) throw cancelled();
    this.open++;
    clearTimeout(this.idleTimer);
    this.report();
    try {
      const first = await this.attempt(method, params, options);
      if (!first.lost) return first.result;
      // The process that we ended for another reason took this request with it: ask its successor, once.
      const second = await this.attempt(method, params, options);
      if (!second.lost) return second.result;
      throw second.lost;
    } finally {
      this.open--;
      if (lanes[method] === 'work') this.progress = null;
      this.report();
      this.restWhenIdle();
    }
  }

  /** Ends the process, if any, and everything it is working on; the next request starts a new one. */
  async restart(): Promise<void> {
    const { running } = this;
    if (!running) return;
    this.end(running, 'restart');
    await running.exited;
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.idleTimer);
    if (this.running) this.end(this.running, 'restart');
  }

  /** One try; without a result when the process was ended on purpose and the request may be repeated. */
  private async attempt<M extends EngineMethod>(
    method: M,
    params: EngineParams<M>,
    { token, onProgress }: RequestOptions,
  ): Promise<{ result: EngineResult<M>; lost?: undefined } | { lost: UserError }> {
    const running = (this.running ??= this.start());
    const isWork = lanes[method] === 'work';
    let killTimer: NodeJS.Timeout | undefined;
    const subscription = token?.onCancellationRequested(() => {
      killTimer = setTimeout(() => {
        this.options.log(`'${method}' did not stop when asked: ending the engine.`);
        this.end(running, isWork ? 'stuck work' : 'stuck look');
      }, this.options.graceMs ?? 5_000);
    });
    try {
      const result = await running.requester.request(method, params, {
        token,
        onProgress: isWork
          ? (progress) => {
              this.progress = progress;
              this.report();
              onProgress?.(progress);
            }
          : onProgress,
      });
      return { result };
    } catch (error) {
      if (!(error instanceof UserError) || error.code !== 'engine-lost') throw error;
      this.forget(running);
      // The channel closes before the process is gone; only its end tells how.
      const end = await running.exited;
      if (token?.isCancellationRequested) throw cancelled();
      const lost = engineStopped({ ...end, method, lastWords: running.lastWords });
      if (running.ending && !this.disposed && mayRepeat(running.ending, isWork)) return { lost };
      throw lost;
    } finally {
      clearTimeout(killTimer);
      subscription?.dispose();
      if (isWork) running.jobs++;
    }
  }

  private start(): Running {
    const child = fork(this.options.entry, [], {
      // Plain Node in a VS Code server, Electron on a desktop; the variable makes the second behave like the first.
      execPath: process.execPath,
      // Not the extension host's own flags, such as a debug port.
      execArgv: [],
      env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
    const exited = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
      // A process that could not even be started has no exit.
      child.once('error', (error) => {
        running.lastWords = error.message;
        resolve({ exitCode: null, signal: null });
      });
    });
    const running: Running = {
      child,
      connection,
      requester: engineRequester(connection),
      exited,
      ending: null,
      jobs: 0,
      lastWords: '',
    };
    const listen = (chunk: Buffer) => {
      for (const line of stripVTControlCharacters(chunk.toString('utf8')).split(/\r?\n/)) {
        if (line.trim() === '') continue;
        running.lastWords = line.trim().slice(0, 300);
        this.options.log(line);
      }
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
    void exited.then(({ exitCode, signal }) => {
      const why = running.ending ? `as asked (${running.ending})` : `by itself (${signal ?? `exit code ${exitCode}`})`;
      this.options.log(`Engine ${child.pid} ended ${why}.`);
      this.forget(running);
      connection.dispose();
    });
    this.options.log(`Engine ${child.pid} started.`);
    return running;
  }

  private end(running: Running, ending: Ending): void {
    running.ending ??= ending;
    this.forget(running);
    running.child.kill('SIGKILL');
  }

  private forget(running: Running): void {
    if (this.running === running) this.running = null;
  }

  /** With nothing to do: replaces a worn process, and ends the process some time after the last editor closed. */
  private restWhenIdle(): void {
    const { running } = this;
    clearTimeout(this.idleTimer);
    if (!running || this.open > 0) return;
    if (running.jobs >= (this.options.jobsPerProcess ?? 20)) {
      this.end(running, 'recycle');
    } else if (this.editors === 0) {
      this.idleTimer = setTimeout(() => {
        if (this.running === running && this.open === 0) this.end(running, 'idle');
      }, this.options.idleMs());
    }
  }

  private report(): void {
    this.options.onActivity?.({ open: this.open, progress: this.progress });
  }
}
