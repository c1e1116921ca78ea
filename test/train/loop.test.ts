/** The loop: repeatable, resumable, cancellable, and quick to say when training goes wrong. */
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TrainingProgress } from '../../src/protocol/plan';
import { readCheckpoint, type TrainingRecord } from '../../src/train/checkpoint';
import { type Companion, PauseGate, type TrainingOptions, train } from '../../src/train/loop';
import type { ProgramState } from '../../src/train/program';
import { cosine } from '../../src/train/schedules';
import { type Toy, toyData, toyProgram } from '../support/training';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'espalier-loop-'));
  file = path.join(folder, 'training.checkpoint');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const options = { epochs: 3, rate: 0.05, schedule: cosine, fingerprint: 'toy' };

async function run(
  change: Partial<TrainingOptions> = {},
  make: () => Promise<Toy> = toyProgram,
): Promise<{ record: TrainingRecord; state: ProgramState }> {
  const { program } = await make();
  try {
    const record = await train(program, { data: toyData(), ...options, ...change });
    return { record, state: program.state() };
  } finally {
    await program.release();
  }
}

/** Options that cancel a run after so many steps. */
function stoppedAfter(steps: number): Partial<TrainingOptions> {
  const abort = new AbortController();
  return {
    signal: abort.signal,
    checkpoint: { file, everySeconds: 1e6 },
    onProgress: ({ step }) => step === steps && abort.abort(),
  };
}

test('the same seed, device and threads give the same numbers bit for bit', async () => {
  const [a, b] = [await run(), await run()];
  expect(a.record.losses).toHaveLength(30);
  expect(b).toEqual(a);
});

describe('a run that was stopped and resumed equals one that was not:', () => {
  test.each([
    ['within an epoch', 13],
    ['at the end of an epoch', 20],
    ['after its first step', 1],
  ])('%s', async (_, steps) => {
    const whole = await run();
    await expect(run(stoppedAfter(steps))).rejects.toMatchObject({ code: 'cancelled' });
    const resumed = await run({ resume: await readCheckpoint(file) });
    expect(resumed).toEqual(whole);
  });

  test('with statistics that are trained', async () => {
    const make = (): Promise<Toy> => toyProgram({ trainsStatistics: true });
    const whole = await run({}, make);
    await expect(run(stoppedAfter(13), make)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await run({ resume: await readCheckpoint(file) }, make)).toEqual(whole);
  });
});

test('learns, and says per epoch how well', async () => {
  const { record } = await run({ epochs: 8 });
  expect(record.epochs).toHaveLength(8);
  expect(record.epochs[7].loss).toBeLessThan(0.5 * record.epochs[0].loss);
  expect(record.epochs[7].accuracy).toBeGreaterThan(0.85);
  // Means over images: the last batch is smaller than the others.
  const first = record.losses.slice(0, 10);
  const images: number[] = first.map((_, i) => (i === 9 ? 11 : 16));
  const mean = first.reduce((sum, loss, i) => sum + loss * images[i], 0) / images.reduce((a, b) => a + b, 0);
  expect(record.epochs[0].loss).toBeCloseTo(mean, 10);
});

test('reports progress, speed and the time left', async () => {
  const events: TrainingProgress[] = [];
  await run({ onProgress: (progress) => events.push(progress) });
  expect(events.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  expect(events.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 30 }, (_, i) => Math.floor(i / 10) + 1));
  expect(events[0]).toMatchObject({ steps: 30, epochs: 3, rate: 0.05, secondsLeft: null });
  expect(events[15].rate).toBeCloseTo(0.025, 10);
  expect(events[9].secondsLeft).toBeGreaterThan(0);
  expect(events[9].imagesPerSecond).toBeGreaterThan(0);
  expect(events[29].secondsLeft).toBe(0);
});

test('stops right after the step in which it was cancelled', async () => {
  let steps = 0;
  const abort = new AbortController();
  const onProgress = (): void => {
    steps += 1;
    if (steps === 4) abort.abort();
  };
  await expect(run({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'cancelled' });
  expect(steps).toBe(4);
});

test('pauses between steps and goes on as if nothing had been', async () => {
  const whole = await run();
  const pause = new PauseGate();
  let steps = 0;
  const onProgress = ({ step }: TrainingProgress): void => {
    steps = step;
    if (step === 7) pause.pause();
  };
  const running = run({ pause, onProgress });
  while (steps < 7) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(steps).toBe(7);
  pause.resume();
  expect(await running).toEqual(whole);
});

test('a paused run can be cancelled', async () => {
  const pause = new PauseGate();
  const abort = new AbortController();
  pause.pause();
  const running = run({ pause, signal: abort.signal, onProgress: () => setTimeout(() => abort.abort(), 20) });
  await expect(running).rejects.toMatchObject({ code: 'cancelled' });
});

describe('when training goes wrong', () => {
  test('a loss that is no number stops it, and the last good checkpoint stays', async () => {
    const program = (await toyProgram({}, { clip: undefined })).program;
    const wild = { data: toyData(), ...options, epochs: 4, schedule: (step: number) => (step < 12 ? 1 : 1e30) };
    const checkpoint = { file, everySeconds: 1e6 };
    await expect(train(program, { ...wild, checkpoint })).rejects.toMatchObject({
      code: 'training-diverged',
      message: expect.stringContaining('The last good checkpoint was kept'),
    });
    await program.release();
    const kept = await readCheckpoint(file);
    expect(kept.position.epoch).toBe(1);
    expect([...kept.state.parameters].every(Number.isFinite)).toBe(true);
  });

  test('so does a loss that grows and grows', async () => {
    const program = (await toyProgram({}, { clip: undefined })).program;
    const wild = { data: toyData(), ...options, epochs: 20, schedule: (step: number) => (step < 30 ? 0.1 : 40) };
    await expect(train(program, wild)).rejects.toMatchObject({ code: 'training-diverged' });
    await program.release();
  });

  test('but not where losses may rise on the way', async () => {
    const schedule = (step: number): number => (step < 30 ? 0.1 : step < 32 ? 40 : 0);
    const high = { data: toyData(), ...options, epochs: 20, schedule };
    const once = (await toyProgram({}, { clip: undefined })).program;
    await expect(train(once, high)).rejects.toMatchObject({ code: 'training-diverged' });
    await once.release();
    const companion: Companion = {
      raisesLoss: true,
      before: () => ({}),
      state: () => ({}),
      restore: () => undefined,
      progress: () => ({}),
    };
    const again = (await toyProgram({}, { clip: undefined })).program;
    const { losses } = await train(again, { ...high, companion });
    expect(losses.at(-1)).toBeGreaterThan(Math.max(10, 5 * losses[0]));
    await again.release();
  });
});

describe('checkpoints', () => {
  test('are written after every epoch, whole, and nothing else is left behind', async () => {
    await run({ checkpoint: { file, everySeconds: 1e6 } });
    const { position, record, state, fingerprint } = await readCheckpoint(file);
    expect(position).toEqual({ epoch: 3, batch: 0, taken: 0, updates: 30 });
    expect(record.epochs).toHaveLength(3);
    expect(fingerprint).toBe('toy');
    expect(Object.keys(state)).toEqual(['parameters', 'momentum']);
    expect(readdirSync(folder)).toEqual(['training.checkpoint']);
  });

  test('of another run are refused', async () => {
    await expect(run(stoppedAfter(3))).rejects.toMatchObject({ code: 'cancelled' });
    const resume = await readCheckpoint(file);
    await expect(run({ resume, fingerprint: 'other' })).rejects.toMatchObject({ code: 'checkpoint-differs' });
  });

  test('that are damaged, cut off or something else are refused with their place', async () => {
    await run({ epochs: 1, checkpoint: { file, everySeconds: 1e6 } });
    truncateSync(file, 900);
    await expect(readCheckpoint(file)).rejects.toMatchObject({ code: 'checkpoint-invalid' });
    writeFileSync(file, 'no checkpoint at all');
    await expect(readCheckpoint(file)).rejects.toMatchObject({ code: 'checkpoint-invalid' });
    rmSync(file);
    expect(existsSync(file)).toBe(false);
    await expect(readCheckpoint(file)).rejects.toMatchObject({
      code: 'checkpoint-invalid',
      message: expect.stringContaining('training.checkpoint'),
    });
  });
});
