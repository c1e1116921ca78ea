import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sampleNetwork } from '../../sample/network';
import { trainSample } from '../../sample/train';
import { openModel } from '../../src/formats';

const sample = path.resolve(__dirname, '../../sample');
const training: { model: { file: string; sha256: string }; losses: number[]; epochs: { accuracy: number }[] } =
  JSON.parse(await readFile(path.join(sample, 'training.json'), 'utf8'));

describe('the training of the sample network', () => {
  it('is the one whose network is in the workspace', async () => {
    const bytes = await readFile(path.join(sample, training.model.file));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(training.model.sha256);
    const model = openModel(path.join(sample, training.model.file));
    const untrained = sampleNetwork();
    expect(model.graph.nodes.map(({ name, opType, inputs }) => [name, opType, inputs])).toEqual(
      untrained.nodes.map(({ name, opType, inputs }) => [name, opType, inputs]),
    );
    model.close();
  });

  it('went from chance to almost everything right', () => {
    const { losses, epochs } = training;
    expect(losses[0]).toBeGreaterThan(0.8 * Math.log(8));
    expect(losses.at(-1)).toBeLessThan(0.3);
    expect(epochs[0].accuracy).toBeLessThan(0.6);
    expect(epochs.at(-1)?.accuracy).toBeGreaterThan(0.95);
  });

  it('starts again as it did: the script, its seeds and the trainer give the losses that were written down', async () => {
    const stop = new AbortController();
    const losses: number[] = [];
    const noted = trainSample(({ step, loss }) => {
      losses.push(loss);
      if (step === 6) stop.abort();
    }, stop.signal);
    await expect(noted).rejects.toMatchObject({ code: 'cancelled' });
    expect(losses).toHaveLength(6);
    // Another processor sums up in another order, and steps make the difference larger.
    losses.forEach((loss, i) => {
      expect(Math.abs(loss / training.losses[i] - 1)).toBeLessThan(0.02);
    });
  });
});
