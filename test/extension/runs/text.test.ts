import { describe, expect, it } from 'vitest';
import { runDescription, runTooltip } from '../../../src/extension/runs/text';
import { runTitle } from '../../../src/extension/runs/title';
import { settingsSchema } from '../../../src/protocol/recipe';
import type { RunSummary } from '../../../src/protocol/runs';

const done: RunSummary = {
  id: 'r',
  title: 'basis · 50 % MACs',
  method: 'basis',
  startedAt: 0,
  seconds: 75,
  state: 'done',
  macsShare: 0.4987,
  paramsShare: 0.6,
  accuracy: 0.912,
  accuracyBefore: 0.925,
  speedup: 1.5,
  savedAs: null,
  canResume: false,
  message: null,
};

describe('a run’s title', () => {
  it.each([
    [{ kind: 'macs', value: 0.5 }, 'basis · 50 % MACs'],
    [{ kind: 'params', value: 0.123 }, 'basis · 12.3 % parameters'],
    [{ kind: 'bytes', value: 0.5 }, 'basis · 50 % bytes'],
    [{ kind: 'bytes', value: 5_000_000 }, 'basis · 5 MB'],
    [{ kind: 'latency', value: 0.8 }, 'basis · 80 % latency'],
    [{ kind: 'milliseconds', value: 12.345 }, 'basis · 12.3 ms'],
    [{ kind: 'drop', value: 1 }, 'basis · 1 points lost at most'],
  ])('names the target %j', (target, title) => {
    expect(runTitle(settingsSchema.parse({ method: 'basis', target }))).toBe(title);
  });

  it('leaves the target out where nothing is cut', () => {
    const target = { kind: 'macs', value: 0.5 };
    const settings = settingsSchema.parse({ method: 'fine-tune', target, training: { epochs: 2 } });
    expect(runTitle(settings)).toBe('fine-tune · 2 epochs');
  });

  it.each([
    [{ method: 'resrep', resrep: { epochsAfter: 30 } }, 'resrep · 50 % MACs · 12 + 30 epochs'],
    [{ method: 'resrep', training: { epochs: 1 } }, 'resrep · 50 % MACs · 1 epoch'],
    [
      { method: 'gsm', gsm: { keep: 0.1, epochsAfter: 1 }, training: { epochs: 1 } },
      'gsm · 10 % of the weights · 1 + 1 epochs',
    ],
    [
      { method: 'gsm', gsm: { ticket: 'p.onnx', epochsAfter: 1 }, training: { epochs: 2 } },
      'gsm · a ticket · 2 epochs',
    ],
  ])('counts what goes on after the cut in %j', (settings, title) => {
    expect(runTitle(settingsSchema.parse(settings))).toBe(title);
  });

  it.each([
    [0, 'basis · 50 % MACs'],
    [1, 'basis · 50 % MACs · 1 epoch'],
    [3, 'basis · 50 % MACs · 3 epochs'],
  ])('counts %i epochs', (epochs, title) => {
    const target = { kind: 'macs', value: 0.5 };
    expect(runTitle(settingsSchema.parse({ method: 'basis', target, training: { epochs } }))).toBe(title);
  });
});

describe('a run’s description', () => {
  it.each<[string, Partial<RunSummary>]>([
    ['91.2 % accuracy, 49.9 % of the MACs', {}],
    ['49.9 % of the MACs', { accuracy: null }],
    ['60.0 % of the parameters', { accuracy: null, macsShare: null }],
    ['', { accuracy: null, macsShare: null, paramsShare: null }],
    ['running: epoch 1 of 3', { state: 'running', message: 'epoch 1 of 3' }],
    ['failed', { state: 'failed' }],
  ])('is “%s”', (text, change) => {
    expect(runDescription({ ...done, ...change })).toBe(text);
  });
});

describe('a run’s tooltip', () => {
  it('is a table of what is known', () => {
    const text = runTooltip({ ...done, savedAs: '/models/small.onnx' });
    expect(text.split('\n').slice(0, 4)).toEqual(['**basis · 50 % MACs**', '', '| | |', '| --- | --- |']);
    expect(text).toContain('| Took | 75 s |');
    expect(text).toContain('| Accuracy | 92\\.5 % → 91\\.2 % |');
    expect(text).toContain('| Speed | 1\\.50× as fast |');
    expect(runTooltip({ ...done, speedup: 0.95 })).toContain('| Speed | 0\\.95× as fast |');
    expect(runTooltip({ ...done, speedup: null })).not.toContain('Speed');
  });

  it('shows text from outside as it is', () => {
    const message = '[click](command:evil) | <b>\n`x`';
    const text = runTooltip({ ...done, state: 'failed', message });
    expect(text).toContain('| State | Failed: \\[click\\]\\(command:evil\\) \\| \\<b\\> \\`x\\` |');
  });
});
