import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CurveFile, type Sample, thin } from '../../../src/extension/runs/curve';

const sample = (step: number, loss = 1 / step): Sample => ({ step, loss, accuracy: step % 2 ? 0.5 : null, rate: 0.1 });
const whole = { steps: 10, epochs: 2 };

describe('a curve', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'espalier-curve-'));
    file = path.join(folder, 'curve.f64');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A curve of these steps, written in two parts. */
  function written(steps: number): CurveFile {
    const curve = new CurveFile(file);
    for (let step = 1; step <= steps; step++) {
      curve.add(sample(step));
      if (step === steps >> 1) curve.flush();
    }
    curve.flush();
    return curve;
  }

  it('comes back from its file, to the last bit', () => {
    const curve = written(9);
    expect(new CurveFile(file).thinned(whole)).toEqual(curve.thinned(whole));
    expect(curve.thinned(whole).points.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('makes no file before there is a step', () => {
    new CurveFile(file).flush();
    expect(existsSync(file)).toBe(false);
  });

  it('goes back with a training that goes on from its checkpoint, on the disk as well', () => {
    written(9);
    const curve = new CurveFile(file);
    curve.add(sample(5, 77));
    curve.flush();
    const back = new CurveFile(file).thinned(whole).points;
    expect(back.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5]);
    expect(back[4].loss).toBe(77);
    expect(back).toEqual(curve.thinned(whole).points);
  });

  it('is read up to where its file is damaged', () => {
    written(9);
    const good = readFileSync(file);
    appendFileSync(file, 'half a row');
    expect(new CurveFile(file)).toHaveLength(9);
    const damaged = Buffer.from(good);
    damaged.writeDoubleLE(Number.POSITIVE_INFINITY, 4 * 32 + 8);
    writeFileSync(file, damaged);
    expect(new CurveFile(file)).toHaveLength(4);
    writeFileSync(file, Buffer.concat([good, good]));
    expect(new CurveFile(file)).toHaveLength(9);
  });

  it('overwrites what could not be read', () => {
    written(3);
    appendFileSync(file, 'x'.repeat(100));
    const curve = new CurveFile(file);
    curve.add(sample(4));
    curve.flush();
    expect(statSync(file).size).toBe(4 * 32);
  });
});

describe('thinning', () => {
  const samples = Array.from({ length: 12_345 }, (_, i) => sample(i + 1, i === 7000 ? 100 : 1));

  it('leaves at most a thousand points and loses no spike', () => {
    const { points } = thin(samples, { steps: 12_345, epochs: 3 });
    expect(points.length).toBeLessThanOrEqual(1000);
    expect(points.length).toBeGreaterThan(900);
    expect(points.filter(({ highest }) => highest === 100)).toHaveLength(1);
    expect(points.find(({ highest }) => highest === 100)!.loss).toBeCloseTo((12 + 100) / 13, 12);
    expect(points.at(-1)!.step).toBe(12_345);
  });

  it('gives the same points for the same steps, however far training has come', () => {
    const part = thin(samples.slice(0, 13 * 400), { steps: 12_345, epochs: 3 }).points;
    expect(part).toEqual(thin(samples, { steps: 12_345, epochs: 3 }).points.slice(0, 400));
  });

  it('leaves a short training as it is', () => {
    expect(thin(samples.slice(0, 3), whole).points).toEqual([
      { step: 1, loss: 1, highest: 1, accuracy: 0.5, rate: 0.1 },
      { step: 2, loss: 1, highest: 1, accuracy: null, rate: 0.1 },
      { step: 3, loss: 1, highest: 1, accuracy: 0.5, rate: 0.1 },
    ]);
    expect(thin([], whole)).toEqual({ points: [], ...whole });
  });
});
