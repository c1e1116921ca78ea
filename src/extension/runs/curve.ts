/**
 * What a training measured at every step: kept whole in a file beside the run's record, so that a run that goes on
 * from a checkpoint continues the same curve, and thinned for the screen.
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { CURVE_POINTS, type CurvePoint, type TrainingCurve } from '../../protocol/runs';

export interface Sample {
  /** From 1. */
  readonly step: number;
  readonly loss: number;
  /** Share of the epoch's images so far; null when nothing says what is wanted. */
  readonly accuracy: number | null;
  readonly rate: number;
}

/** Step, loss, accuracy (NaN for null) and rate, as float64 in the machine's byte order: no one else reads them. */
const COLUMNS = 4;
const ROW = 8 * COLUMNS;
/** Enough for two million steps; what is beyond is not shown after a reload. Bytes. */
const LIMIT = 64 * 2 ** 20;

/** The steps of one run and their file. */
export class CurveFile {
  private readonly samples: Sample[];
  /** Leading samples that the file holds. */
  private written: number;

  constructor(private readonly file: string) {
    this.samples = readSamples(file);
    this.written = this.samples.length;
  }

  get length(): number {
    return this.samples.length;
  }

  /** Adds a step; later ones that were there, from before a training went back to its checkpoint, are dropped. */
  add(sample: Sample): void {
    while ((this.samples.at(-1)?.step ?? 0) >= sample.step) this.samples.pop();
    this.written = Math.min(this.written, this.samples.length);
    this.samples.push(sample);
  }

  /** Brings the file up to date. */
  flush(): void {
    if (this.written === this.samples.length) return;
    const rows = this.samples.slice(this.written).flatMap(({ step, loss, accuracy, rate }) => {
      return [step, loss, accuracy ?? Number.NaN, rate];
    });
    const descriptor = openSync(this.file, constants.O_RDWR | constants.O_CREAT, 0o644);
    try {
      const end = this.written * ROW;
      ftruncateSync(descriptor, end);
      writeSync(descriptor, new Uint8Array(Float64Array.from(rows).buffer), 0, rows.length * 8, end);
    } finally {
      closeSync(descriptor);
    }
    this.written = this.samples.length;
  }

  /** @param whole steps and epochs of the training, done or not */
  thinned(whole: { readonly steps: number; readonly epochs: number }): TrainingCurve {
    return thin(this.samples, whole);
  }
}

/** The whole rows of the file up to the first that can't be one; none when there is no file. */
function readSamples(file: string): Sample[] {
  const bytes = readStart(file);
  const values = new Float64Array(bytes.buffer, bytes.byteOffset, COLUMNS * Math.floor(bytes.length / ROW));
  const samples: Sample[] = [];
  for (let i = 0; i < values.length; i += COLUMNS) {
    const [step, loss, accuracy, rate] = values.subarray(i, i + COLUMNS);
    const follows = Number.isSafeInteger(step) && step > (samples.at(-1)?.step ?? 0);
    const isShare = Number.isNaN(accuracy) || (accuracy >= 0 && accuracy <= 1);
    if (!follows || !Number.isFinite(loss) || !isShare || !Number.isFinite(rate)) break;
    samples.push({ step, loss, accuracy: Number.isNaN(accuracy) ? null : accuracy, rate });
  }
  return samples;
}

function readStart(file: string): Buffer {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return Buffer.alloc(0);
  }
  try {
    // Not from Node's pool: the numbers must start where the buffer does.
    const bytes = Buffer.alloc(Math.min(fstatSync(descriptor).size, LIMIT));
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Stretches of equal length, so that no more points are left than a chart can show. Losses are averaged, and the
 * highest of each stretch is kept, so that no spike disappears.
 */
export function thin(samples: readonly Sample[], { steps, epochs }: { steps: number; epochs: number }): TrainingCurve {
  const last = samples.at(-1)?.step ?? 0;
  const stride = Math.max(1, Math.ceil(Math.max(steps, last) / CURVE_POINTS));
  const points: CurvePoint[] = [];
  for (let from = 0; from < samples.length; ) {
    const stretch = Math.floor((samples[from].step - 1) / stride);
    let to = from;
    let sum = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (; to < samples.length && Math.floor((samples[to].step - 1) / stride) === stretch; to++) {
      sum += samples[to].loss;
      highest = Math.max(highest, samples[to].loss);
    }
    const { step, accuracy, rate } = samples[to - 1];
    points.push({ step, loss: sum / (to - from), highest, accuracy, rate });
    from = to;
  }
  return { points, steps, epochs };
}
