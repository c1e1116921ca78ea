/**
 * The wire between host and engine: JSON-RPC (vscode-jsonrpc) over the child's IPC channel, forked with
 * `serialization: 'advanced'`, so typed arrays arrive as typed arrays. A request's method is a key of
 * `EngineMethods`; its one positional parameter is `{ params, progressToken? }`. Progress comes back as `$/progress`
 * with that token, a cancel goes out as `$/cancelRequest`, and a failure is a ResponseError whose data is an ErrorInfo.
 */
import {
  type CancellationToken,
  ErrorCodes,
  type MessageConnection,
  ParameterStructures,
  ProgressType,
  ResponseError,
} from 'vscode-jsonrpc/node';
import { cancelled, type ErrorInfo, engineLost, errorInfo, UserError } from '../errors';
import type { EngineMethod, EngineParams, EngineResult } from './engine';
import type { Progress } from './plan';

/** What crosses the wire as a request's only parameter. */
interface Envelope<M extends EngineMethod> {
  readonly params: EngineParams<M>;
  readonly progressToken?: number;
}

export interface RequestOptions {
  /** Asks the engine to stop; the request then rejects with `cancelled` once the engine did. */
  readonly token?: CancellationToken;
  readonly onProgress?: (progress: Progress) => void;
}

/** The host's end: one typed call per engine method. */
export interface EngineRequester {
  /** @throws UserError the engine's own, `unexpected` for a bug in it, `engine-lost` when the connection is gone. */
  request<M extends EngineMethod>(
    method: M,
    params: EngineParams<M>,
    options?: RequestOptions,
  ): Promise<EngineResult<M>>;
}

/** What a handler gets beside its parameters. */
export interface RequestContext {
  /** Aborts when the host cancels the request. */
  readonly signal: AbortSignal;
  /** Reports to the host; does nothing when nobody listens. */
  progress(progress: Progress): void;
}

/** The engine's end: one handler per method; the compiler asks for each. */
export type EngineHandlers = {
  readonly [M in EngineMethod]: (params: EngineParams<M>, context: RequestContext) => Promise<EngineResult<M>>;
};

export interface ServeOptions {
  /** Called for every error that is not a UserError, with its stack, so that the log has it. */
  readonly onUnexpected?: (error: unknown, method: EngineMethod) => void;
}

const progressType = new ProgressType<Progress>();
/** Outside the range JSON-RPC reserves; what matters is in `data`. */
const failed = 1;

/**
 * Starts the host's end on a connection: it listens from here on.
 * The caller disposes the connection when the process is gone; open requests then reject with `engine-lost`.
 */
export function engineRequester(connection: MessageConnection): EngineRequester {
  let lastToken = 0;
  connection.listen();
  return {
    async request(method, params, { token, onProgress } = {}) {
      const progressToken = onProgress ? ++lastToken : undefined;
      const subscription =
        onProgress && progressToken !== undefined
          ? connection.onProgress(progressType, progressToken, onProgress)
          : undefined;
      const envelope: Envelope<typeof method> = { params, progressToken };
      try {
        const sent: unknown[] = token ? [envelope, token] : [envelope];
        return await connection.sendRequest(method, ParameterStructures.byPosition, ...sent);
      } catch (error) {
        throw requestError(error);
      } finally {
        subscription?.dispose();
      }
    },
  };
}

/** Serves the engine's methods on a connection: it listens from here on. */
export function serveEngine(
  connection: MessageConnection,
  handlers: EngineHandlers,
  { onUnexpected = (error, method) => console.error(`Unexpected error in ${method}:`, error) }: ServeOptions = {},
): void {
  for (const method of Object.keys(handlers) as EngineMethod[]) {
    const handle = handlers[method] as (params: unknown, context: RequestContext) => Promise<unknown>;
    connection.onRequest(method, async (envelope: Envelope<EngineMethod>, token: CancellationToken) => {
      const abort = new AbortController();
      const subscription = token.onCancellationRequested(() => abort.abort(cancelled()));
      if (token.isCancellationRequested) abort.abort(cancelled());
      const { progressToken } = envelope;
      try {
        return await handle(envelope.params, {
          signal: abort.signal,
          progress: (progress) => {
            if (progressToken !== undefined) connection.sendProgress(progressType, progressToken, progress);
          },
        });
      } catch (error) {
        // Work interrupted by an abort often ends in an AbortError of its own: for the host that is the cancel.
        const shown = abort.signal.aborted ? cancelled() : error;
        if (!(shown instanceof UserError)) onUnexpected(shown, method);
        const info = errorInfo(shown);
        return new ResponseError<ErrorInfo>(failed, info.message, info);
      } finally {
        subscription.dispose();
      }
    });
  }
  connection.listen();
}

/** Turns what vscode-jsonrpc rejects with into a UserError. */
function requestError(error: unknown): UserError {
  if (error instanceof ResponseError) {
    const info = error.data as ErrorInfo | undefined;
    if (error.code === failed && info) return new UserError(info.code, info.message, info.hint);
    if (error.code !== ErrorCodes.PendingResponseRejected && error.code !== ErrorCodes.MessageWriteError) {
      const { code, message, hint } = errorInfo(error);
      return new UserError(code, message, hint);
    }
  }
  // Whatever else fails here is the channel itself: closed, disposed, or gone with its process.
  return engineLost(error instanceof Error ? error.message : String(error));
}
