import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Candidates } from '../../src/extension/candidates';

let folder: string;
let candidates: Candidates;

async function candidate(): Promise<string> {
  const file = path.join(await candidates.create(), 'model.onnx');
  writeFileSync(file, 'weights');
  return file;
}

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'espalier-candidates-'));
  candidates = new Candidates(path.join(folder, 'candidates'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('folders of candidates', () => {
  it('are one per run', async () => {
    const [first, second] = [await candidate(), await candidate()];
    expect(first).not.toBe(second);
    await candidates.discard(first);
    expect([existsSync(path.dirname(first)), existsSync(second)]).toEqual([false, true]);
  });

  it('are never removed outside of their place', async () => {
    const other = path.join(folder, 'precious.onnx');
    writeFileSync(other, 'weights');
    await candidate();
    await candidates.discard(other);
    await candidates.discard(path.join(folder, 'candidates'));
    expect([existsSync(other), existsSync(path.join(folder, 'candidates'))]).toEqual([true, true]);
  });

  it('are swept when nothing needs them and they are old', async () => {
    const [needed, leftOver] = [await candidate(), await candidate()];
    await candidates.sweep([needed]);
    expect(existsSync(leftOver)).toBe(true);
    await candidates.sweep([needed], 0);
    expect([existsSync(needed), existsSync(leftOver)]).toEqual([true, false]);
  });

  it('need not exist to be swept', async () => {
    await expect(candidates.sweep([])).resolves.toBeUndefined();
  });
});
