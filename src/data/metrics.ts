/** How well outputs of a classifier fit the labels: accuracy, top-5, cross-entropy, confusion, and their certainty. */
import { labelOutOfRange } from '../errors';

/** Two-sided 95 % quantile of the normal distribution. */
const z95 = 1.959963984540054;

/** Wilson's score interval of a proportion (Wilson, 1927); 95 %, unless another quantile is given. */
export function wilsonInterval(successes: number, trials: number, z = z95): [number, number] {
  if (trials === 0) return [0, 1];
  const share = successes / trials;
  const centre = share + (z * z) / (2 * trials);
  const spread = z * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  const scale = 1 + (z * z) / trials;
  return [Math.max(0, (centre - spread) / scale), Math.min(1, (centre + spread) / scale)];
}

/** Index of the largest value, the first of equals; −1 when a value is not a number. */
export function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) return -1;
    if (values[i] > values[best]) best = i;
  }
  return best;
}

/** Place of a value among the others, 0 for the largest; the first of equals comes first. */
export function rankOf(values: Float32Array, index: number): number {
  let rank = 0;
  const value = values[index];
  for (let i = 0; i < values.length; i++) if (values[i] > value || (values[i] === value && i < index)) rank += 1;
  return rank;
}

/** Whether a row is probabilities: not negative, and summing to 1 within the rounding of float16. */
export function isDistribution(values: Float32Array): boolean {
  let sum = 0;
  for (const value of values) {
    if (!(value >= 0)) return false;
    sum += value;
  }
  return Math.abs(sum - 1) < 2e-3;
}

/** −log softmax(logits)[label], without overflow. */
export function crossEntropyOfLogits(logits: Float32Array, label: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return Math.log(sum) + largest - logits[label];
}

/** −log p[label]; a probability that was rounded to 0 counts as the smallest normal float32. */
export function crossEntropyOfProbabilities(probabilities: Float32Array, label: number): number {
  return -Math.log(Math.max(probabilities[label], 2 ** -126));
}

export interface Score {
  readonly images: number;
  /** 0 to 1. */
  readonly accuracy: number;
  /** null for five classes or fewer, where it says nothing. */
  readonly top5: number | null;
  readonly confidence: readonly [number, number];
  /** Mean cross-entropy, natural logarithm. */
  readonly loss: number;
  /** confusion[actual * classCount + predicted]; empty for more classes than a table can be read of. */
  readonly confusion: Uint32Array;
  readonly classCount: number;
}

const maxConfusionClasses = 4096;

/** Adds up the scores of batches. */
export class ClassifierScore {
  #images = 0;
  #correct = 0;
  #top5 = 0;
  #lossOfLogits = 0;
  #lossOfProbabilities = 0;
  /** Until one row is seen that is not. */
  #probabilities = true;
  #classCount = 0;
  #confusion = new Uint32Array(0);

  /**
   * @param outputs [count, classes], logits or probabilities; further axes of 1 do not matter. One output per image
   *   is a yes-or-no classifier's: labels are 0 and 1.
   * @param labels one per image
   * @throws UserError `label-out-of-range`
   */
  add(outputs: Float32Array, labels: Int32Array): void {
    const width = outputs.length / labels.length;
    const scores = width === 1 ? asTwoClasses(outputs) : outputs;
    const classCount = Math.max(width, 2);
    if (this.#classCount === 0) {
      this.#classCount = classCount;
      if (classCount <= maxConfusionClasses) this.#confusion = new Uint32Array(classCount * classCount);
    }
    labels.forEach((label, i) => {
      if (label < 0 || label >= classCount)
        throw labelOutOfRange({ where: `Image ${this.#images + i}`, label, classes: classCount });
      this.#addRow(scores.subarray(i * classCount, (i + 1) * classCount), label);
    });
    this.#images += labels.length;
  }

  #addRow(row: Float32Array, label: number): void {
    const predicted = argmax(row);
    if (predicted === label) this.#correct += 1;
    // Outputs that are not numbers are wrong, and are no class to be confused with.
    if (predicted >= 0) {
      if (this.#confusion.length > 0) this.#confusion[label * this.#classCount + predicted] += 1;
      if (rankOf(row, label) < 5) this.#top5 += 1;
    }
    this.#probabilities &&= isDistribution(row);
    this.#lossOfLogits += crossEntropyOfLogits(row, label);
    this.#lossOfProbabilities += crossEntropyOfProbabilities(row, label);
  }

  /** null before any image was added. */
  result(): Score | null {
    if (this.#images === 0) return null;
    const loss = this.#probabilities ? this.#lossOfProbabilities : this.#lossOfLogits;
    return {
      images: this.#images,
      accuracy: this.#correct / this.#images,
      top5: this.#classCount > 5 ? this.#top5 / this.#images : null,
      confidence: wilsonInterval(this.#correct, this.#images),
      loss: loss / this.#images,
      confusion: this.#confusion,
      classCount: this.#classCount,
    };
  }
}

/** Whether an accuracy could be guessing: its interval reaches five points above chance or lower. */
export function isNearChance({ confidence, classCount }: Pick<Score, 'confidence' | 'classCount'>): boolean {
  return confidence[0] <= 1 / classCount + 0.05;
}

/** Scores for "no" and "yes" of one output per image: a probability when all are from 0 to 1, else a logit. */
function asTwoClasses(outputs: Float32Array): Float32Array {
  const probabilities = outputs.every((value) => value >= 0 && value <= 1);
  const both = new Float32Array(2 * outputs.length);
  outputs.forEach((value, i) => {
    both[2 * i] = probabilities ? 1 - value : 0;
    both[2 * i + 1] = value;
  });
  return both;
}
