/**
 * The host's end of one webview: checks each message, answers it once, and forwards state patches. VS Code sends
 * messages as JSON plus whole ArrayBuffers, so typed arrays are cut out of larger buffers before they leave.
 */
import type * as vscode from 'vscode';
import { errorInfo, UserError } from '../errors';
import type { SessionState, ViewEvent, ViewMethod, ViewMethods } from '../protocol/view';
import { parseViewRequest, requestId } from './viewRequests';

/** One handler per request; the compiler asks for each. A handler may throw or reject: the view gets the error. */
export type ViewHandlers = {
  readonly [M in ViewMethod]: (
    params: Parameters<ViewMethods[M]>[0],
  ) => ReturnType<ViewMethods[M]> | Promise<ReturnType<ViewMethods[M]>>;
};

export class ViewHost implements vscode.Disposable {
  private readonly subscription: vscode.Disposable;
  private disposed = false;

  constructor(
    private readonly webview: vscode.Webview,
    private readonly handlers: ViewHandlers,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.subscription = webview.onDidReceiveMessage((message: unknown) => this.receive(message));
  }

  /** Tells the view what changed. A view that is not there yet asks for the whole state once it is. */
  patch(patch: Partial<SessionState>): void {
    this.post({ type: 'state', patch });
  }

  dispose(): void {
    this.disposed = true;
    this.subscription.dispose();
  }

  private async receive(message: unknown): Promise<void> {
    try {
      const { id, method, params } = parseViewRequest(message);
      const handle = this.handlers[method] as (params: unknown) => unknown;
      this.post({ type: 'reply', id, ok: await handle(params) });
    } catch (error) {
      if (!(error instanceof UserError)) this.log.error(error instanceof Error ? error : String(error));
      const id = requestId(message);
      if (id === null) this.log.warn(`A webview sent a message without an id: ${errorInfo(error).message}`);
      else this.post({ type: 'reply', id, error: errorInfo(error) });
    }
  }

  private post(event: ViewEvent): void {
    if (!this.disposed) void this.webview.postMessage(ownBuffers(event));
  }
}

/** A copy in which every typed array has a buffer of exactly its size; all else is shared. */
function ownBuffers(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (ArrayBuffer.isView(value)) {
    const array = value as Float64Array;
    return array.byteLength === array.buffer.byteLength ? array : array.slice();
  }
  if (Array.isArray(value)) return value.map(ownBuffers);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, ownBuffers(entry)]));
}
