/** Opens model files: the one place that chooses the reader of a format. */
import { UserError, unsupportedFormat } from '../errors';
import { formatOfContent, formatOfName, SIGNATURE_BYTES } from './detect';
import type { Model } from './model';
import { readOnnx } from './onnx/read';
import { openSource } from './source';

export type { Model } from './model';

/**
 * Opens a model by what its file contains; the name only helps to say what an unreadable file is.
 * @throws UserError `unsupported-format`, and everything {@link readOnnx} throws
 */
export function openModel(path: string): Model {
  const known = formatOfContent(path, firstBytes(path));
  if (known) throw unsupportedFormat({ path, ...known });
  try {
    return readOnnx(path);
  } catch (error) {
    const named = formatOfName(path);
    const isOther = error instanceof UserError && ['corrupt-model', 'no-graph', 'empty-file'].includes(error.code);
    throw named && isOther ? unsupportedFormat({ path, ...named }) : error;
  }
}

function firstBytes(path: string): Uint8Array {
  const source = openSource(path);
  try {
    return source.read(0, Math.min(source.size, SIGNATURE_BYTES));
  } finally {
    source.close();
  }
}
