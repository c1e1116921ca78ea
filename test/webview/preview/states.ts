/** Everything a view can be asked to show, by name: the screens that people look at and that axe checks. */
import { seededRandom } from '../../../src/linalg/random';
import type { AccuracyFacts, DatasetFacts, LatencyFacts, ModelFacts } from '../../../src/protocol/facts';
import type {
  CompactionReport,
  LayerSparsity,
  Projection,
  RunResult,
  SparsityReport,
  TrainingReport,
} from '../../../src/protocol/plan';
import { type PruneSettings, settingsSchema, trainingSchema } from '../../../src/protocol/recipe';
import type { RunSummary, TrainingCurve } from '../../../src/protocol/runs';
import type { SessionState } from '../../../src/protocol/view';
import { previewChannels, previewDouble, previewSensitivity } from './channels';

export const settings: PruneSettings = settingsSchema.parse({
  method: 'basis',
  basis: { foldBatchNorm: true },
  target: { kind: 'macs', value: 0.6 },
  protect: ['stem*'],
  data: { path: 'data/cifar10/test_batch.bin', calibrationImages: 512 },
});

const classes = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];

export const dataset: DatasetFacts = {
  path: '/home/ada/models/data/cifar10/test_batch.bin',
  kind: 'cifar',
  images: 10_000,
  labelled: true,
  classes,
  imageShape: [3, 32, 32],
  preprocessing: {
    resize: null,
    crop: null,
    scale: 1 / 255,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.201],
    layout: 'NCHW',
    channels: 'RGB',
  },
  preprocessingSource: 'guessed',
  summary: 'RGB, 32 × 32, (x/255 − mean) / std, NCHW',
  warnings: [],
};

const devices: SessionState['devices'] = [
  { id: 'cpu', name: 'CPU', available: true, note: null },
  { id: 'webgpu', name: 'WebGPU', available: true, note: 'Software rendering: slower than the CPU.' },
  { id: 'cuda', name: 'CUDA', available: false, note: 'The CUDA libraries are not installed.' },
];

function accuracy(value: number, seed: number): AccuracyFacts {
  const random = seededRandom(seed);
  const confusion = new Uint32Array(classes.length ** 2);
  for (let image = 0; image < 10_000; image++) {
    const actual = image % classes.length;
    const right = random.uniform() < value;
    const other =
      random.uniform() < 0.4 ? (actual + 2) % classes.length : Math.floor(random.uniform() * classes.length);
    confusion[actual * classes.length + (right ? actual : other)]++;
  }
  return {
    images: 10_000,
    skipped: { count: 0, names: [] },
    accuracy: value,
    top5: 1 - (1 - value) / 12,
    confidence: [value - 0.0062, value + 0.006],
    loss: 2.4 * (1 - value) + 0.08,
    classes,
    confusion,
    device: 'cpu',
    preprocessing: dataset.summary,
    warning: null,
  };
}

const latency = (median: number): LatencyFacts => ({
  median,
  iqr: median * 0.043,
  batch: 1,
  repetitions: 200,
  device: 'cpu',
  threads: 2,
});

function result(facts: ModelFacts, projection: Projection): RunResult {
  const random = seededRandom(5);
  const { before, after } = projection;
  return {
    id: 'preview',
    model: facts.path,
    candidate: '/tmp/espalier/candidate.onnx',
    before: { ...before, fileBytes: facts.fileBytes, accuracy: accuracy(0.9172, 3), latency: latency(1.84) },
    after: {
      ...after,
      fileBytes: facts.fileBytes - before.bytes + after.bytes + 1204,
      accuracy: accuracy(0.8853, 4),
      latency: latency(1.31),
    },
    layers: projection.layers,
    layerLatency: facts.layers.map((layer, i) => {
      const time = ((layer.macs ?? 1000) / 2.2e8) * (0.8 + 0.4 * random.uniform()) + 0.004;
      const share = (projection.layers[i].macs ?? 1) / (layer.macs ?? 1);
      return { layer: layer.name, before: i % 11 === 5 ? null : time, after: time * (0.25 + 0.75 * share) };
    }),
    speedup: 1.405,
    speedupNote: 'Thin layers use the processor less well, so time falls less than MACs.',
    verification: [
      {
        name: 'The written file can be read again',
        passed: true,
        detail: 'inputs, outputs, opset and metadata are unchanged',
      },
      {
        name: 'Outputs of the plan and of the written file agree',
        passed: true,
        detail: 'largest difference 2.1e-6 of the largest output, tolerance 1e-4',
      },
      { name: 'Parameters as projected', passed: true, detail: '171,302 counted, 171,302 projected' },
      { name: 'MACs as projected', passed: true, detail: '24,412,160 counted, 24,412,160 projected' },
    ],
    seconds: 74.2,
    device: 'cpu',
    warnings: ['Calibration used 512 of 10,000 images.'],
  };
}

/** A training of 10 epochs whose first part is done. */
function curve(share: number): TrainingCurve {
  const random = seededRandom(11);
  const steps = 1570;
  const points = Array.from({ length: Math.round((steps * share) / 2) }, (_, i) => {
    const step = 2 * (i + 1);
    const at = step / steps;
    const loss = (0.08 + 1.9 * Math.exp(-9 * at)) * Math.exp(0.35 * random.normal());
    const accuracy = 0.955 - 0.5 * Math.exp(-7 * at) + 0.006 * random.normal();
    return { step, loss, highest: loss * 1.1, accuracy, rate: 0.025 * (1 + Math.cos(Math.PI * at)) };
  });
  return { points, steps, epochs: 10 };
}

function report({ points, epochs }: TrainingCurve): TrainingReport {
  return {
    losses: points.map(({ loss }) => loss),
    epochs: Array.from({ length: epochs }, (_, i) => ({ loss: 1 / (i + 1), accuracy: 0.8 + 0.015 * i })),
    untrained: 0.7124,
    seconds: 331.2,
    imagesPerSecond: 302,
    trainedParams: 171_302,
  };
}

const past = (id: number, part: Partial<RunSummary>): RunSummary => ({
  id: `run-${id}`,
  title: 'basis · 60 % MACs',
  method: 'basis',
  startedAt: Date.UTC(2026, 4, 17, 9, id),
  seconds: 74.2,
  state: 'done',
  macsShare: 0.6,
  paramsShare: 0.63,
  accuracy: 0.8853,
  accuracyBefore: 0.9172,
  speedup: 1.4,
  savedAs: null,
  canResume: false,
  message: null,
  ...part,
});

/** Newest first. */
export const runs: readonly RunSummary[] = [
  past(9, {
    state: 'stopped',
    macsShare: null,
    accuracy: null,
    speedup: null,
    canResume: true,
    message: 'Epoch 4 of 10',
  }),
  past(8, { state: 'failed', macsShare: null, accuracy: null, speedup: null, message: 'The training diverged.' }),
  past(7, { title: 'basis · 60 % MACs · 10 epochs', macsShare: 0.597, accuracy: 0.9121, seconds: 331 }),
  past(6, {
    title: 'basis · 45 % MACs · 10 epochs',
    macsShare: 0.446,
    accuracy: 0.9012,
    seconds: 318,
    savedAs: '/home/ada/models/residual20.pruned.onnx',
  }),
  past(5, { title: 'basis · 30 % MACs', macsShare: 0.299, accuracy: 0.6211 }),
  past(4, { title: 'basis · 45 % MACs', macsShare: 0.449, accuracy: 0.8012 }),
  past(3, { title: 'basis · 80 % MACs', macsShare: 0.796, accuracy: 0.9102 }),
  past(2, {
    title: 'fine-tune · 3 epochs',
    method: 'fine-tune',
    macsShare: 1,
    paramsShare: 1,
    accuracy: 0.9203,
    speedup: 1,
  }),
  past(1, {}),
];

export interface Scenario {
  readonly state: (base: SessionState) => SessionState;
  /** Requests that never come back, as while the engine computes. */
  readonly silent?: readonly string[];
  readonly failing?: readonly string[];
}

const unknownShapes = (facts: ModelFacts): ModelFacts => ({
  ...facts,
  inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', 3, 'height', 'width'] }],
  shapes: null,
  shapesReason:
    'The model could not be run on an input of 1×3×224×224: Reshape expected 3136 elements, found 2304. Try other sizes.',
  totals: { ...facts.totals, macs: null },
  layers: facts.layers.map((layer) => ({
    ...layer,
    macs: null,
    outputShape: null,
    macsReason: 'the sizes of its output are not known',
  })),
  notes: ['2 functions of the model are left as they are.', 'Layers inside If and Loop are inspected, not pruned.'],
});

function training(base: SessionState): SessionState {
  return {
    ...base,
    curve: curve(0.4),
    run: {
      kind: 'running',
      runId: 'run-2',
      paused: false,
      startedAt: Date.now() - 133_000,
      progress: {
        phase: 'train',
        message: 'Training: epoch 4 of 10, loss 0.3121',
        fraction: 0.4,
        training: {
          step: 628,
          steps: 1570,
          epoch: 4,
          epochs: 10,
          loss: 0.3121,
          accuracy: 0.87,
          rate: 0.033,
          imagesPerSecond: 304.2,
          secondsLeft: 198,
        },
      },
    },
  };
}

export const measuring: SessionState['sensitivity'] = {
  kind: 'measuring',
  progress: { phase: 'measure', message: 'Measuring what stage2.block2.conv1 bears (4 of 16)', fraction: 0.25 },
};

/** Settings that remove channels, and what they would do; a layer of a large group is selected. */
function channels(base: SessionState, own: Partial<PruneSettings> = {}): SessionState {
  const { facts } = base;
  if (facts === null || base.settings === null) return base;
  const groups = [{ match: facts.layers[1]?.name ?? '', ratio: 0.4 }];
  const changed: PruneSettings = { ...base.settings, method: 'channel', multiple: 4, groups, ...own };
  const plan = changed.method === 'double' ? previewDouble : previewChannels;
  const selectedLayer = facts.layers.find(({ name }) => /^stage2.*conv3$/.test(name))?.name ?? null;
  return { ...base, settings: changed, projection: plan(facts, changed), selectedLayer };
}

function done(base: SessionState): SessionState {
  return {
    ...base,
    selectedLayer: base.facts?.layers[4]?.name ?? null,
    run:
      base.facts && base.projection && base.settings
        ? {
            kind: 'done',
            runId: 'run-1',
            settings: base.settings,
            result: result(base.facts, base.projection),
            savedAs: null,
          }
        : { kind: 'idle' },
  };
}

/** Rows of compactors behind every third layer, some of them masked and on their way to zero. @param done share of the way */
function compactionOf({ layers }: ModelFacts, done: number): CompactionReport {
  const random = seededRandom(3);
  const found = layers
    .filter((_, i) => i % 3 === 1)
    .map(({ name, weight }, i) => {
      const rows = weight.shape[0];
      const masked = Math.round(rows * (0.25 + 0.06 * (i % 8)));
      const norms = Array.from({ length: rows }, (_, row) =>
        row < masked ? Math.max(0, 0.9 - done * (0.9 + 0.3 * random.uniform())) : 0.75 + 0.2 * random.uniform(),
      );
      return { layer: name, rows, masked, norms };
    });
  const masked = found.reduce((sum, layer) => sum + layer.masked, 0);
  const whole = layers.reduce((sum, { macs }) => sum + (macs ?? 0), 0);
  const report = { layers: found, masked, macs: 0.52 * whole, target: 0.47 * whole, whole, reached: null };
  return {
    ...report,
    cut: masked,
    vanished: masked,
    largest: 0,
    ...(done < 1 ? {} : { macs: 0.468 * whole, reached: 640 }),
  };
}

/** Settings of ResRep. */
function compacting(base: SessionState): SessionState {
  const { facts, run, settings } = base;
  const now = run.kind === 'running' ? run.progress.training : undefined;
  return {
    ...base,
    settings: settings && {
      ...settings,
      method: 'resrep',
      training: trainingSchema.parse({ epochs: 12, weightDecay: 1e-4 }),
    },
    run:
      run.kind === 'running' && now && facts
        ? { ...run, progress: { ...run.progress, training: { ...now, compaction: compactionOf(facts, 0.4) } } }
        : run,
  };
}

/** Settings of global sparse momentum, with a training that is too short. */
function sparse(base: SessionState): SessionState {
  const { run } = base;
  const warning =
    'Weights that are to become zero shrink to 0.3 % of their size in this training (E = 5.8); cutting them costs nothing from E = 8 on. It would be enough with 97 epochs, or a momentum of 0.993, or a weight decay of 0.0007.';
  const now = run.kind === 'running' ? run.progress.training : undefined;
  return {
    ...base,
    settings: base.settings && {
      ...base.settings,
      method: 'gsm',
      training: trainingSchema.parse({ epochs: 70, lr: 0.01, schedule: 'step' }),
    },
    trainingTime: {
      kind: 'known',
      time: { seconds: 329.7, steps: 1570, secondsPerStep: 0.21, trainedParams: 270_896, warning },
    },
    run:
      run.kind === 'running' && now ? { ...run, progress: { ...run.progress, training: { ...now, cut: 0.213 } } } : run,
  };
}

function sparsityOf({ layers }: ModelFacts): SparsityReport {
  const found = layers.map(({ name, params }, i) => {
    const isPruned = i !== 0;
    return {
      layer: name,
      weights: params,
      nonZero: isPruned ? Math.round(params * 0.02 * (1 + 10 / i)) : params,
      pruned: isPruned,
    };
  });
  const sum = (pick: (layer: LayerSparsity) => number): number =>
    found.filter(({ pruned }) => pruned).reduce((total, layer) => total + pick(layer), 0);
  return {
    weights: sum(({ weights }) => weights),
    nonZero: sum(({ nonZero }) => nonZero),
    cut: 0.0123,
    saved: 'dense',
    decayExponent: 11.8,
    accuracy: { trained: 0.9146, masked: 0.9143 },
    layers: found,
  };
}

/** What a method leaves that prunes nothing. */
function unpruned({ totals, layers }: ModelFacts): Projection {
  return {
    before: totals,
    after: totals,
    basis: 'weights',
    shortfall: null,
    layers: layers.map(({ name, fullRank, params, macs, bytes }) => {
      return { layer: name, action: 'keep', reason: null, rank: fullRank, params, macs, bytes, error: 0 };
    }),
  };
}

/** The base state is the model, opened and projected. */
export const scenarios = {
  ready: { state: (base) => base },
  selected: {
    state: (base) => ({
      ...base,
      selectedLayer: base.facts?.layers[Math.min(4, base.facts.layers.length - 1)].name ?? null,
    }),
  },
  reading: {
    state: (base) => ({ ...base, facts: null, settings: null, projection: null, loading: 'loading' }),
  },
  shapes: {
    state: (base) => ({
      ...base,
      loading: 'shapes',
      projection: null,
      facts: base.facts && { ...unknownShapes(base.facts), shapesReason: null },
    }),
    silent: ['spectra'],
  },
  unknownShapes: { state: (base) => ({ ...base, projection: null, facts: base.facts && unknownShapes(base.facts) }) },
  unreadable: {
    state: (base) => ({
      ...base,
      facts: null,
      settings: null,
      projection: null,
      loading: 'loading',
      error: {
        code: 'onnx-truncated',
        message:
          'residual20.onnx: the tensor “stage1.block0.conv1.weight” ends at byte 9,412, but the file has 8,190 bytes.',
        hint: 'The file is incomplete. Copy or download it again.',
      },
    }),
  },
  failing: {
    state: (base) => ({ ...base, selectedLayer: base.facts?.layers[4].name ?? null }),
    failing: ['spectra', 'detail', 'change'],
  },
  noBases: {
    state: (base) => ({
      ...base,
      projection: null,
      facts: base.facts && {
        ...base.facts,
        layers: base.facts.layers.map((layer) => ({
          ...layer,
          reason: layer.reason ?? 'its weight is computed inside the model',
        })),
      },
    }),
  },
  noLayers: {
    state: (base) => ({
      ...base,
      projection: null,
      facts: base.facts && { ...base.facts, layers: [], totals: { params: 0, macs: 0, bytes: 0 } },
    }),
  },
  untrusted: { state: (base) => ({ ...base, trusted: false }) },
  shortfall: {
    state: (base) => ({
      ...base,
      projection: base.projection && {
        ...base.projection,
        shortfall: 'The target of 5.0 % can’t be met: what is locked, protected or unsuitable leaves at least 12.4 %.',
      },
    }),
  },
  running: {
    state: (base) => ({
      ...base,
      selectedLayer: base.facts?.layers[4]?.name ?? null,
      run: {
        kind: 'running',
        runId: 'run-2',
        paused: false,
        startedAt: Date.now() - 83_000,
        progress: { phase: 'refit', message: 'Refitting stage2.block4.conv2', fraction: 0.43 },
      },
    }),
  },
  failed: {
    state: (base) => ({
      ...base,
      run: {
        kind: 'failed',
        error: {
          code: 'verification-failed',
          message:
            'Layer “stage2.block4.conv2”: outputs of the plan and of the written file differ by 3.1e-2, expected at most 1e-4.',
          hint: 'Nothing was saved. Lock this layer and run again, and please report it.',
        },
      },
    }),
  },
  done: { state: done },
  training: { state: training },
  paused: {
    state: (base): SessionState => {
      const state = training(base);
      return { ...state, run: { ...state.run, paused: true } as SessionState['run'] };
    },
  },
  stopped: {
    state: (base) => ({
      ...base,
      curve: curve(0.4),
      run: {
        kind: 'stopped',
        runId: 'run-2',
        message: 'Training stopped after epoch 4 of 10; what was learnt is kept.',
        canResume: true,
      },
    }),
  },
  trained: {
    state: (base): SessionState => {
      const { run } = done(base);
      const trained = curve(1);
      return {
        ...base,
        curve: trained,
        runs,
        run: run.kind === 'done' ? { ...run, result: { ...run.result, training: report(trained) } } : run,
      };
    },
  },
  /** Channels that go by training: while it trains, and its results. */
  compacting: { state: (base) => compacting(training(base)) },
  compacted: {
    state: (base): SessionState => {
      const trained = curve(1);
      const { run } = done(channels(base));
      const compaction = base.facts ? compactionOf(base.facts, 1) : undefined;
      const trainingReport = { ...report(trained), compaction };
      return {
        ...compacting(base),
        curve: trained,
        run: run.kind === 'done' ? { ...run, result: { ...run.result, training: trainingReport } } : run,
      };
    },
  },
  /** Single weights that become zero: while it trains, and its results. */
  sparse: { state: (base) => sparse(training(base)) },
  sparseDone: {
    state: (base): SessionState => {
      const { run } = done(base);
      const sparsity = base.facts && sparsityOf(base.facts);
      return {
        ...sparse(base),
        run: run.kind === 'done' && sparsity ? { ...run, result: { ...run.result, sparsity } } : run,
      };
    },
  },
  channels: { state: (base) => channels(base) },
  double: { state: (base) => channels(base, { method: 'double', target: { kind: 'macs', value: 0.5 } }) },
  measuring: { state: (base): SessionState => ({ ...channels(base), sensitivity: measuring }) },
  sensitivity: {
    state: (base): SessionState => ({
      ...channels(base),
      sensitivity: base.facts
        ? { kind: 'known', sensitivity: previewSensitivity(base.facts, 'accuracy') }
        : base.sensitivity,
    }),
  },
  channelsDone: { state: (base) => done(channels(base)) },
  /** A new classifier. */
  transfers: {
    state: (base) => ({ ...base, settings: base.settings && { ...base.settings, transfer: { epochs: 30, lr: 0.05 } } }),
  },
  /** Training alone, after a plan that was set up for another method. */
  fineTunes: {
    state: (base) => {
      const chosen = base.facts?.layers[4].name ?? '';
      const layers = [{ match: chosen, rank: 3 }];
      return {
        ...base,
        selectedLayer: chosen,
        settings: base.settings && { ...base.settings, method: 'fine-tune', layers },
        projection: base.facts && unpruned(base.facts),
      };
    },
  },
  /** Settings that train. */
  trains: {
    state: (base) => ({
      ...base,
      settings: base.settings && { ...base.settings, training: trainingSchema.parse({ epochs: 10, lr: 0.05 }) },
      trainingTime: {
        kind: 'known',
        time: { seconds: 329.7, steps: 1570, secondsPerStep: 0.21, trainedParams: 270_896 },
      },
    }),
  },
  noModel: {
    state: (base) => ({
      ...base,
      title: null,
      facts: null,
      settings: null,
      projection: null,
      dataset: null,
      loading: 'loading',
    }),
  },
  noData: {
    state: (base) => {
      if (base.settings === null) return base;
      const { data: _, ...others } = base.settings;
      return { ...base, settings: others as PruneSettings, dataset: null };
    },
  },
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

export function baseState(facts: ModelFacts): SessionState {
  return {
    title: facts.path.split('/').at(-1) ?? null,
    facts,
    loading: 'ready',
    error: null,
    settings,
    projection: null,
    dataset,
    devices,
    canUndo: false,
    canRedo: false,
    trusted: true,
    run: { kind: 'idle' },
    curve: null,
    runs: [],
    trainingTime: { kind: 'unknown' },
    sensitivity: { kind: 'unknown' },
    selectedLayer: null,
  };
}
