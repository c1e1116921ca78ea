/**
 * How many channels the runtime computes at once on a device: convolutions of 17 to 32 outputs that all cost the same
 * mean blocks of 16. Found by measuring, because it depends on the processor's vector width and on the provider.
 */
import { serializeGraph } from '../formats/onnx/serialize';
import { type Graph, ints, makeNode } from '../graph/graph';
import { float32Tensor, memoryTensor } from '../tensor/tensor';
import { createSession, type Session, type SessionOptions } from './session';

const CHANNELS = 64;
const SIDE = 28;
/** Output channels compared: the middle and the end of a block of 16, and of one of 8. */
const WIDTHS = [16, 20, 24, 32] as const;
const ROUNDS = 25;
/** Milliseconds after which the rounds so far must do: emulated devices take seconds for each. */
const LONGEST = 1000;
/** Two times that differ by less are the same. */
const SAME = 0.93;

const known = new Map<string, Promise<number>>();

/** 16, 8 or 1 (no block worth minding); measured once per device and thread count. */
export function channelBlock({ device = 'cpu', threads = 0 }: SessionOptions): Promise<number> {
  const key = `${device}/${threads}`;
  let found = known.get(key);
  if (!found) {
    found = measureBlock({ device, threads });
    known.set(key, found);
  }
  return found;
}

async function measureBlock(options: SessionOptions): Promise<number> {
  const sessions: Session[] = [];
  try {
    for (const width of WIDTHS) {
      const header = { irVersion: 8, opsets: new Map([['', 17]]) };
      sessions.push(await createSession(serializeGraph(trial(width), header), { ...options, label: 'a trial' }));
    }
    const x = float32Tensor(new Float32Array(CHANNELS * SIDE * SIDE).fill(0.5), [1, CHANNELS, SIDE, SIDE]);
    // The least of many interleaved runs: noise only ever adds.
    const best = sessions.map(() => Number.POSITIVE_INFINITY);
    const started = performance.now();
    for (let round = 0; round < ROUNDS && (round < 2 || performance.now() - started < LONGEST); round++) {
      for (const [i, session] of sessions.entries()) {
        const begin = performance.now();
        await session.run({ x });
        best[i] = Math.min(best[i] as number, performance.now() - begin);
      }
    }
    const [, t20, t24, t32] = best as [number, number, number, number];
    if (t24 > SAME * t32) return 16;
    return t20 > SAME * t24 ? 8 : 1;
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** Two convolutions, so that the blocked layout between them pays. */
function trial(width: number): Graph {
  const weight = (name: string, outputs: number, inputs: number) =>
    [
      name,
      memoryTensor(name, float32Tensor(new Float32Array(outputs * inputs * 9).fill(0.01), [outputs, inputs, 3, 3])),
    ] as const;
  const same = { pads: ints([1, 1, 1, 1]), kernel_shape: ints([3, 3]) };
  return {
    name: 'channel-block-trial',
    nodes: [makeNode('Conv', ['x', 'a'], ['h'], same), makeNode('Conv', ['h', 'b'], ['y'], same)],
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, CHANNELS, SIDE, SIDE] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: null }],
    valueInfo: [],
    initializers: new Map([weight('a', width, CHANNELS), weight('b', CHANNELS, width)]),
  };
}
