/**
 * The webview's end of the wire to the host: requests with an id, each answered by one `reply`, and `state` patches.
 * Every request settles: by its reply, by a timeout where the host should answer at once, or when the page goes.
 */
import type { ErrorInfo } from '../src/errors';
import type { SessionState, ViewEvent, ViewMethod, ViewMethods, ViewRequest } from '../src/protocol/view';
import { strings } from './strings';

/** What VS Code gives a webview; may be acquired only once. */
export interface HostApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

export type ViewParams<M extends ViewMethod> = Parameters<ViewMethods[M]>[0];
export type ViewResult<M extends ViewMethod> = ReturnType<ViewMethods[M]>;

/** A request the host refused or did not answer. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  constructor(readonly info: ErrorInfo) {
    super(info.message);
  }
}

/**
 * Milliseconds to wait for a reply; null waits for ever, because a person or a long job is on the other side.
 * The analysis of a layer of thousands of channels may take many seconds on a busy machine.
 */
const timeouts: Readonly<Record<ViewMethod, number | null>> = {
  ready: 30_000,
  spectra: 300_000,
  detail: 300_000,
  group: 300_000,
  change: 120_000,
  select: 30_000,
  undo: 120_000,
  redo: 120_000,
  chooseData: null,
  setShapes: null,
  run: null,
  cancel: null,
  pause: null,
  resumeRun: null,
  openRun: null,
  useRunSettings: null,
  saveRun: null,
  deleteRun: null,
  estimateTraining: null,
  measureSensitivity: null,
  cancelSensitivity: null,
  save: null,
  dismissError: 30_000,
  export: null,
  openModel: null,
};

interface Waiting {
  resolve(value: unknown): void;
  reject(error: RequestError): void;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Client {
  private lastId = 0;
  private readonly waiting = new Map<number, Waiting>();
  private readonly receive = (event: Event) => this.handle((event as MessageEvent<unknown>).data);

  /**
   * @param host VS Code's API object
   * @param messages where `message` events arrive; the window in a webview
   * @param onState called with each patch of the session's state
   */
  constructor(
    private readonly host: Pick<HostApi, 'postMessage'>,
    private readonly messages: EventTarget,
    private readonly onState: (patch: Partial<SessionState>) => void,
  ) {
    messages.addEventListener('message', this.receive);
  }

  /** @throws RequestError (as a rejection) when the host answers with an error or not at all */
  request<M extends ViewMethod>(method: M, params: ViewParams<M>): Promise<ViewResult<M>> {
    const id = ++this.lastId;
    const limit = timeouts[method];
    return new Promise<ViewResult<M>>((resolve, reject) => {
      const timer = limit === null ? undefined : setTimeout(() => this.expire(id, method, limit), limit);
      this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      const request: ViewRequest<M> = { id, method, params };
      this.host.postMessage(request);
    });
  }

  /** Stops listening; what is still waiting is rejected. */
  dispose(): void {
    this.messages.removeEventListener('message', this.receive);
    for (const id of [...this.waiting.keys()]) this.take(id)?.reject(new RequestError(strings.errors.closed));
  }

  private handle(data: unknown): void {
    if (!isViewEvent(data)) return;
    if (data.type === 'state') {
      this.onState(data.patch);
      return;
    }
    // A late reply to a request that timed out finds nobody waiting.
    const waiting = this.take(data.id);
    if (waiting === undefined) return;
    if ('error' in data) waiting.reject(new RequestError(data.error));
    else waiting.resolve(data.ok);
  }

  private expire(id: number, method: ViewMethod, limit: number): void {
    this.take(id)?.reject(new RequestError(strings.errors.timeout(method, limit / 1000)));
  }

  private take(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return undefined;
    clearTimeout(waiting.timer);
    this.waiting.delete(id);
    return waiting;
  }
}

/** Other scripts (developer tools, frames) may post to the window as well. */
function isViewEvent(data: unknown): data is ViewEvent {
  if (typeof data !== 'object' || data === null || !('type' in data)) return false;
  if (data.type === 'state') return 'patch' in data && typeof data.patch === 'object' && data.patch !== null;
  return data.type === 'reply' && 'id' in data && typeof data.id === 'number';
}
