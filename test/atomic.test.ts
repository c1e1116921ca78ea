/** Files that appear whole or not at all. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { isLeftover, textFile, writeFiles } from '../src/atomic';
import { temporaryFolder } from './support/onnxBuilder';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
const at = (name: string): string => path.join(folder, name);

test('all of them hold their text, and nothing else is left', () => {
  const bytes = writeFiles([textFile(at('a'), 'eins'), textFile(at('b'), 'zwölf')], { overwrite: false });
  expect(bytes).toBe(10);
  expect(readdirSync(folder).sort()).toEqual(['a', 'b']);
  expect(readFileSync(at('b'), 'utf8')).toBe('zwölf');
});

test('a file that exists is replaced only when that is asked for', () => {
  writeFileSync(at('a'), 'old');
  const write = (overwrite: boolean) => () => writeFiles([textFile(at('a'), 'new')], { overwrite });
  expect(write(false)).toThrow(expect.objectContaining({ code: 'output-exists' }));
  expect(readFileSync(at('a'), 'utf8')).toBe('old');
  write(true)();
  expect(readFileSync(at('a'), 'utf8')).toBe('new');
  expect(readdirSync(folder)).toEqual(['a']);
});

test('while one is written, what was there before stays, also when writing fails', () => {
  writeFileSync(at('a'), 'old');
  const broken = {
    path: at('b'),
    write: () => {
      expect(readFileSync(at('a'), 'utf8')).toBe('old');
      const unfinished = readdirSync(folder).filter((name) => name !== 'a');
      expect(unfinished).toHaveLength(2);
      expect(unfinished.every(isLeftover)).toBe(true);
      throw new Error('no more');
    },
  };
  expect(() => writeFiles([textFile(at('a'), 'new'), broken], { overwrite: true })).toThrow('no more');
  expect(readFileSync(at('a'), 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['a']);
});

test('where it can’t be written, the error names the file and why', () => {
  mkdirSync(at('taken'));
  for (const [file, reason] of [
    [at('no/where'), 'the folder does not exist'],
    [at('taken'), 'it is a folder'],
  ]) {
    const write = () => writeFiles([textFile(file, '')], { overwrite: true });
    expect(write).toThrow(expect.objectContaining({ code: 'cannot-write', message: expect.stringContaining(reason) }));
  }
  expect(readdirSync(folder)).toEqual(['taken']);
});
