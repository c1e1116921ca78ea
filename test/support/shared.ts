/** Real models and datasets that tests use when they are there; people without them skip those tests. */
import { existsSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '../../../shared');

export const hasShared = existsSync(path.join(root, 'data'));

/** Absolute path of a file under the shared folder, e.g. `data/models/resnet20_cifar10.onnx`. */
export function sharedFile(relative: string): string {
  return path.join(root, relative);
}
