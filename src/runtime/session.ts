/**
 * Inference sessions: the only file that imports ONNX Runtime. Everything else speaks of graphs and tensors.
 */
import './noTelemetry';
import * as os from 'node:os';
import * as ort from 'onnxruntime-node';
import { deviceFailed, modelDoesNotLoad, modelDoesNotRun } from '../errors';
import type { Tensor } from '../tensor/tensor';

export type DeviceId = 'cpu' | 'webgpu' | 'cuda' | 'directml' | 'coreml';

/** ONNX Runtime's names of its execution providers. */
const PROVIDERS: Readonly<Record<DeviceId, string>> = {
  cpu: 'cpu',
  webgpu: 'webgpu',
  cuda: 'cuda',
  directml: 'dml',
  coreml: 'coreml',
};

export interface SessionOptions {
  readonly device?: DeviceId;
  /** 0: as many as the machine has. */
  readonly threads?: number;
  /** 'off' runs the graph node by node as written: for probes that must not fold or allocate ahead. */
  readonly optimize?: 'all' | 'off';
  /** Prefix of the profile file; profiling is on when given. */
  readonly profile?: string;
  /** Named in errors. */
  readonly label?: string;
}

export interface SessionInput {
  readonly name: string;
  readonly dtype: string;
  /** Free dimensions are strings. */
  readonly shape: readonly (number | string)[];
}

export interface Session {
  readonly inputs: readonly SessionInput[];
  readonly outputNames: readonly string[];
  /** Runs once. Only the named outputs are computed and returned; all when none are named. */
  run(feeds: Readonly<Record<string, Tensor>>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  /**
   * Runs once and writes the results into the data of the given tensors, whose types and shapes must be those that
   * the model gives. Nothing is allocated, so a loop can pass values back and forth between two sets of buffers.
   */
  runInto(feeds: Readonly<Record<string, Tensor>>, outputs: Readonly<Record<string, Tensor>>): Promise<void>;
  /** Ends profiling and writes the profile. */
  endProfile(): void;
  release(): Promise<void>;
}

/** Threads that `0` stands for: physical parallelism as the operating system reports it. */
export function threadCount(threads = 0): number {
  return threads > 0 ? threads : os.availableParallelism();
}

/**
 * Loads a model for running.
 * @param model path of a file, or the bytes of a model
 * @throws UserError `model-does-not-load` with ONNX Runtime's own words, `device-failed` when the device is at fault
 */
export async function createSession(model: string | Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const { device = 'cpu', optimize = 'all', label = 'the model' } = options;
  // The runtime would silently take the CPU instead.
  if (!builtInDevices().includes(device)) {
    throw deviceFailed({ device, found: 'ONNX Runtime was built without it for this machine.' });
  }
  const providers: ort.InferenceSession.ExecutionProviderConfig[] = [PROVIDERS[device]];
  if (device !== 'cpu') providers.push('cpu'); // operators the device does not have
  const settings: ort.InferenceSession.SessionOptions = {
    executionProviders: providers,
    intraOpNumThreads: threadCount(options.threads),
    interOpNumThreads: 1,
    graphOptimizationLevel: optimize === 'all' ? 'all' : 'disabled',
    enableCpuMemArena: optimize === 'all',
    enableMemPattern: optimize === 'all',
    logSeverityLevel: 4, // errors arrive as exceptions
    ...(options.profile ? { enableProfiling: true, profileFilePrefix: options.profile } : {}),
  };
  let session: ort.InferenceSession;
  try {
    session =
      typeof model === 'string'
        ? await ort.InferenceSession.create(model, settings)
        : await ort.InferenceSession.create(model, settings);
  } catch (error) {
    const found = runtimeMessage(error);
    throw device === 'cpu' ? modelDoesNotLoad({ label, found }) : deviceFailed({ device, found });
  }
  const guarded = async (run: () => Promise<ort.InferenceSession.OnnxValueMapType>) => {
    try {
      return await run();
    } catch (error) {
      throw modelDoesNotRun({ label, found: runtimeMessage(error) });
    }
  };
  return {
    inputs: session.inputMetadata.map((meta) => ({
      name: meta.name,
      dtype: meta.isTensor ? meta.type : 'unknown',
      shape: meta.isTensor ? meta.shape : [],
    })),
    outputNames: session.outputNames,
    async run(feeds, outputs) {
      const results = await guarded(() =>
        outputs ? session.run(allToRuntime(feeds), outputs as string[]) : session.run(allToRuntime(feeds)),
      );
      const tensors: Record<string, Tensor> = {};
      for (const [name, value] of Object.entries(results)) tensors[name] = fromRuntime(value as ort.Tensor);
      return tensors;
    },
    async runInto(feeds, outputs) {
      const places = allToRuntime(outputs);
      const results = await guarded(() => session.run(allToRuntime(feeds), places));
      // Devices with a memory of their own answer with new tensors.
      for (const [name, { data }] of Object.entries(outputs)) {
        const found = (results[name] as ort.Tensor).data;
        if (found !== data) (data as Float32Array).set(found as Float32Array);
      }
    },
    endProfile: () => session.endProfiling(),
    release: () => session.release(),
  };
}

function allToRuntime(tensors: Readonly<Record<string, Tensor>>): Record<string, ort.Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, toRuntime(tensor)]));
}

function toRuntime({ dtype, data, dims }: Tensor): ort.Tensor {
  // Where JavaScript has a Float16Array (Node 24), the constructor would make one, which the runtime's binding can't read.
  if (dtype === 'float16') {
    return Object.assign(new ort.Tensor('uint16', data as Uint16Array, dims as number[]), { type: dtype });
  }
  return new ort.Tensor(dtype as ort.Tensor.Type, data as ort.Tensor.DataType, dims as number[]);
}

function fromRuntime({ type, dims, data }: ort.Tensor): Tensor {
  const found = data as Tensor['data'];
  // Where JavaScript has a Float16Array, the runtime gives one; tensors hold bit patterns.
  const isBits = type !== 'float16' || found instanceof Uint16Array;
  const held = isBits ? found : new Uint16Array(found.buffer as ArrayBuffer, found.byteOffset, found.length);
  return { dtype: type as Tensor['dtype'], dims, data: held };
}

/** ONNX Runtime's message without its source locations and C++ signatures. */
function runtimeMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .replace(/^Error: /, '')
    .replace(/^\/onnxruntime_src\/\S+:\d+ .*? was false\. /, '')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 600);
}

/** Devices the installed runtime was built for. */
export function builtInDevices(): DeviceId[] {
  const names = new Set<string>(ort.listSupportedBackends().map((backend) => backend.name));
  return (Object.keys(PROVIDERS) as DeviceId[]).filter((device) => names.has(PROVIDERS[device]));
}
