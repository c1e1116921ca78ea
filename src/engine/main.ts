/**
 * Entry of the engine process, forked by the extension host. This thread only passes messages on: requests that look at
 * a model and long jobs have a lane (worker thread) each, so that looking never waits for a run.
 */
import '../runtime/noTelemetry';
import path from 'node:path';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { type EngineMethod, lanes } from '../protocol/engine';
import { type EngineHandlers, type RequestContext, serveEngine } from '../protocol/rpc';
import { Lane } from './lane';

const log = (text: string): void => console.error(text);
const script = path.join(__dirname, 'worker.js');
const look = new Lane(script, () => undefined, log, 'at-once');
const work = new Lane(script, (news) => look.tell(news), log);

const handlers = Object.fromEntries(
  (Object.keys(lanes) as EngineMethod[]).map((method) => [
    method,
    (params: never, context: RequestContext) => {
      const lane = lanes[method];
      return lane === 'steer'
        ? work.steer(method, params, context)
        : { look, work }[lane].request(method, params, context);
    },
  ]),
) as unknown as EngineHandlers;

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
serveEngine(connection, handlers);

// Never outlive the host.
process.on('disconnect', () => process.exit(0));
