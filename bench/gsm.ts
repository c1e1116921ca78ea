/**
 * What global sparse momentum costs: a training step of ResNet-20 at batch 64, and of LeNet-300-100 at batch 256, with it
 * and with plain SGD, steps in turn, medians; and on 25 million weights (ResNet-50 has as many) its selection and its whole update, beside the selection by
 * `TopK` in the graph.
 *
 *     npm run bench -- gsm [--threads 2] [--rounds 15] [--weights 25]
 *
 * Goal: a step of at most 1.2 times a plain one.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { NetworkBuilder } from '../sample/builder';
import { serializeGraph } from '../src/formats/onnx/serialize';
import { GraphBuilder } from '../src/graph/builder';
import { type Graph, int, makeNode } from '../src/graph/graph';
import { seededRandom } from '../src/linalg/random';
import { quantile } from '../src/runtime/latency';
import { createSession } from '../src/runtime/session';
import { float32Tensor } from '../src/tensor/tensor';
import { GreatestFinder } from '../src/train/greatest';
import { initialize } from '../src/train/initialize';
import { objectiveOf } from '../src/train/objective';
import { sgd } from '../src/train/optimizers';
import { prepareModel } from '../src/train/prepare';
import { buildProgram } from '../src/train/program';
import { sparseMomentum } from '../src/train/sparseMomentum';
import { cifarResNet, classCount, imageSide } from './resnet';
import { fromLabels, metadata, noise } from './steps';

const KEEP = 0.1;

const { values: options } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '15' },
    weights: { type: 'string', default: '25' },
  },
});
const [threads, rounds, millions] = [options.threads, options.rounds, options.weights].map(Number);

const milliseconds = (times: readonly number[]): string => `${(1000 * quantile(times, 0.5)).toPrecision(3)} ms`;

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** A network, the shape of its input, and how many images a step takes. */
interface Task {
  readonly name: string;
  readonly graph: Graph;
  readonly inners: readonly string[];
  readonly image: readonly number[];
  readonly batch: number;
}

const tasks: readonly Task[] = [
  { name: 'ResNet-20', ...cifarResNet(20, false), image: [3, imageSide, imageSide], batch: 64 },
  {
    // Hardly any computation for its 267 thousand parameters.
    name: 'LeNet-300-100',
    graph: initialize(
      new NetworkBuilder('lenet-300-100', [1, 28, 28])
        .flatten('pixels', 28 * 28)
        .dense('fc1', 300)
        .relu('relu1')
        .dense('fc2', 100)
        .relu('relu2')
        .dense('fc3', classCount, 'scores')
        .graph(),
      { seed: 0 },
    ),
    inners: [],
    image: [1, 28, 28],
    batch: 256,
  },
];

async function steps({ name, graph, inners, image, batch }: Task): Promise<void> {
  const prepared = await prepareModel({ graph, metadata, choice: 'all', inners });
  const feeds = noise(graph.inputs[0].name, [batch, ...image]);
  const optimizers = [sgd({ momentum: 0.98 }), sparseMomentum({ keep: KEEP, momentum: 0.98, weightDecay: 1e-4 })];
  const programs = await Promise.all(
    optimizers.map((optimizer) =>
      buildProgram({
        ...prepared,
        objective: objectiveOf(prepared, fromLabels),
        optimizer,
        weightDecay: 1e-4,
        clip: 5,
        session: { threads },
      }),
    ),
  );
  const times: number[][] = [[], []];
  // Short steps are taken more often, for the same certainty.
  const count = image[0] === 1 ? 20 * rounds : rounds;
  for (let round = 0; round <= count; round++) {
    for (const [i, program] of programs.entries()) {
      const seconds = await timed(() => program.step(feeds, 1e-4, round + 1));
      // The first step sets up memory.
      if (round > 0) times[i].push(seconds);
    }
  }
  for (const program of programs) await program.release();
  const ratio = quantile(times[1], 0.5) / quantile(times[0], 0.5);
  console.log(
    `${name}, batch ${batch}: plain SGD ${milliseconds(times[0])}, GSM ${milliseconds(times[1])}, ratio ${ratio.toFixed(3)}`,
  );
}

/** A graph that gives the greatest of its input, without sorting them. */
function topK(size: number, count: number): Graph {
  const graph: Graph = {
    name: 'topk',
    nodes: [],
    inputs: [{ name: 'x', dtype: 'float32', shape: [size] }],
    outputs: [{ name: 'least', dtype: 'float32', shape: [1] }],
    valueInfo: [],
    initializers: new Map(),
  };
  const g = new GraphBuilder(graph, new Map([['x', 'float32']]));
  const nodes = [
    makeNode('TopK', ['x', g.ints([count])], ['greatest', 'places'], { sorted: int(0) }),
    makeNode('ReduceMin', ['greatest'], ['least'], { keepdims: int(1) }),
  ];
  return { ...graph, nodes: [...g.nodes, ...nodes], initializers: g.initializers };
}

async function selection(): Promise<void> {
  const size = Math.round(millions * 1e6);
  const random = seededRandom(2);
  const draw = (): Float32Array => Float32Array.from({ length: size }, () => 1e-2 * random.normal());
  const [parameters, gradient] = [draw(), draw()];
  const scores = parameters.map((value, i) => Math.abs(value * gradient[i]));
  const bits = new Uint32Array(scores.buffer);
  const finder = new GreatestFinder();
  const count = Math.floor(KEEP * size);
  const slot = { name: 'w', dims: [size], vector: 'parameters', offset: 0, decays: true } as const;
  const update = sparseMomentum({ keep: KEEP, momentum: 0.98, weightDecay: 1e-4 }).start([slot]);
  const states = [new Float32Array(size)];
  const session = await createSession(serializeGraph(topK(size, count), metadata), { threads, label: 'TopK' });
  const x = float32Tensor(scores, [size]);
  const work: [string, () => unknown][] = [
    ['selection by histogram', () => finder.threshold(bits, count)],
    ['whole update', () => update({ parameters, gradient, states, rate: 1e-4 })],
    ['selection by TopK in the graph', () => session.run({ x })],
  ];
  const times = work.map((): number[] => []);
  for (let round = 0; round <= Math.min(rounds, 7); round++) {
    for (const [i, [, run]] of work.entries()) {
      const seconds = await timed(run);
      if (round > 0) times[i].push(seconds);
    }
  }
  await session.release();
  for (const [i, [name]] of work.entries()) {
    console.log(`${millions} million weights, ${name}: ${milliseconds(times[i])}`);
  }
}

async function main(): Promise<void> {
  const load = loadavg()[0].toFixed(1);
  console.log(`${cpus()[0]?.model ?? 'unknown processor'}, ${threads} threads, load ${load}, medians`);
  for (const task of tasks) await steps(task);
  await selection();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
