/** A child process that serves the engine's wire with small answers of its own, so that the wire itself can be tested. */
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { UserError } from '../../src/errors';
import type { ModelFacts, Spectrum } from '../../src/protocol/facts';
import { type EngineHandlers, serveEngine } from '../../src/protocol/rpc';

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));
const unserved = async (): Promise<never> => {
  throw new Error('not served here');
};

const handlers: EngineHandlers = {
  open: async ({ path }) => {
    throw new UserError('truncated', `'${path}' ends early.`, 'Copy the file again.');
  },
  shapes: async ({ path, shapes }) => ({ path, shapes: shapes ?? null }) as unknown as ModelFacts,
  spectra: async ({ layers }) =>
    layers.map(
      (layer) =>
        ({
          layer,
          singularValues: new Float64Array([3, 2, Number.NaN]),
          condition: Number.POSITIVE_INFINITY,
          blockValues: new Float64Array(1_000_000).fill(0.5),
        }) as unknown as Spectrum,
    ),
  run: (_params, { signal, progress }) =>
    new Promise((_resolve, reject) => {
      progress({ phase: 'read', message: 'Reading', fraction: 0.25 });
      progress({ phase: 'write', message: 'Writing', fraction: null });
      signal.addEventListener('abort', () => reject(new Error('stopped in the middle')));
    }),
  evaluate: async () => ({ accuracy: { confusion: new Uint32Array([1, 2, 3]) } }) as never,
  compare: async () => {
    console.error('out of cheese');
    process.exit(7);
  },
  save: async () => ({ model: `${process.pid}`, recipe: '' }),
  detail: unserved,
  group: unserved,
  sensitivity: unserved,
  project: unserved,
  trainingTime: unserved,
  pause: unserved,
  // Never answers and hears no cancel: what a runtime busy in native code looks like.
  calibrate: () => new Promise(() => undefined),
  dataset: unserved,
  devices: async () => [],
};
serveEngine(connection, handlers, { onUnexpected: (error, method) => console.error(`in ${method}: ${error}`) });
