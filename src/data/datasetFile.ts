/** `*.dataset.json`: names data beside it, with its labels, classes, split and preprocessing. Untrusted. */
import { readFile, stat } from 'node:fs/promises';
import { datasetMalformed } from '../errors';
import { type DatasetFile, datasetSchema, type PreprocessingInput } from '../protocol/recipe';
import { resolveBeside } from './confine';
import type { OpenOptions } from './dataset';

/** Class names and a label map fit in this many times over. */
const maxBytes = 16 * 2 ** 20;

export interface NamedData {
  /** Absolute, free of links, in the file's folder. */
  readonly path: string;
  readonly options: OpenOptions;
  readonly preprocessing: PreprocessingInput | null;
}

export async function readDatasetFile(file: string, options: OpenOptions): Promise<NamedData> {
  const content = parse(file, await readText(file));
  return {
    path: await resolveBeside(file, content.path),
    options: {
      ...options,
      split: options.split ?? content.split,
      labels: content.labels && (await resolveBeside(file, content.labels)),
      classes: options.classes ?? content.classes,
      labelMap: options.labelMap ?? content.labelMap,
    },
    preprocessing: content.preprocessing ?? null,
  };
}

async function readText(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > maxBytes) throw datasetMalformed({ path: file, found: `${size} bytes`, expected: `at most ${maxBytes}` });
  return readFile(file, 'utf8');
}

function parse(file: string, text: string): DatasetFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw datasetMalformed({ path: file, found: (error as Error).message, expected: 'JSON' });
  }
  const result = datasetSchema.safeParse(json);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0];
  throw datasetMalformed({
    path: file,
    found: `${path.join('.') || 'the document'}: ${message}`,
    expected: 'a dataset file',
  });
}
