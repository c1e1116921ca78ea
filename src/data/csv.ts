/**
 * A CSV of image paths and labels: `path,label`. Columns are found by their heading (path, file, image, …; label,
 * class, target, …); without headings the first column is the path and the second the label. Paths are relative to
 * the CSV and stay in its folder. Comma, semicolon and tab separate.
 */
import { createReadStream } from 'node:fs';
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'csv-parse';
import { cancelled, datasetEmpty, datasetMalformed, datasetPathOutside } from '../errors';
import { climbsOut } from './confine';
import type { Dataset, OpenOptions } from './dataset';
import { imageExtensions } from './decode';
import { fileDataset } from './files';
import { areIntegers, labelsFromNumbers, labelsFromText } from './labels';

const pathHeadings = /^(image[_ ]?)?(path|file|filepath|file[_ ]?name|image|img|id)$/i;
const labelHeadings = /^(label|class|category|target|y|class[_ ]?(name|id)|label[_ ]?id)$/i;

/** Bytes of one row; a longer one means that this is not such a CSV. */
const maxRowBytes = 65_536;

interface Columns {
  readonly path: number;
  /** null: no labels. */
  readonly label: number | null;
  readonly heading: boolean;
}

export async function openCsv(file: string, options: OpenOptions): Promise<Dataset> {
  const files: string[] = [];
  const labels: string[] = [];
  let columns: Columns | undefined;
  let row = 0;
  const parser = parse({
    bom: true,
    delimiter: [',', ';', '\t'],
    max_record_size: maxRowBytes,
    relax_column_count: true,
    skip_empty_lines: true,
    trim: true,
  });
  const input = createReadStream(file);
  input.on('error', (error) => parser.destroy(error));
  try {
    for await (const cells of input.pipe(parser) as AsyncIterable<string[]>) {
      row += 1;
      if (options.signal?.aborted) throw cancelled();
      const first = columns === undefined;
      columns ??= columnsOf(cells);
      if (first && columns.heading) continue;
      const image = cells[columns.path];
      const label = columns.label === null ? '' : cells[columns.label];
      if (!image || label === undefined || (columns.label !== null && label === ''))
        throw datasetMalformed({
          path: file,
          found: `${cells.length} filled cells in row ${row}`,
          expected: 'a path and a label',
        });
      if (climbsOut(image)) throw datasetPathOutside({ file, path: image });
      files.push(path.normalize(image.replaceAll('\\', '/')));
      labels.push(label);
    }
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('CSV_')) throw error;
    throw datasetMalformed({ path: file, found: (error as Error).message, expected: 'rows of a path and a label' });
  } finally {
    input.destroy();
  }
  if (files.length === 0) throw datasetEmpty(file);
  const numbered = areIntegers(labels) && !(options.labelMap && !options.classes);
  const labelling =
    columns!.label === null
      ? null
      : numbered
        ? labelsFromNumbers(file, Int32Array.from(labels, Number), options)
        : labelsFromText(file, labels, options);
  const root = await realpath(path.dirname(file));
  return fileDataset({ kind: 'csv', path: file, root, files, labelling, warnings: [] });
}

function columnsOf(first: readonly string[]): Columns {
  const pathColumn = first.findIndex((cell) => pathHeadings.test(cell));
  const labelColumn = first.findIndex((cell) => labelHeadings.test(cell));
  const looksLikeImage = (cell: string) => imageExtensions.includes(path.extname(cell).toLowerCase());
  if (pathColumn >= 0) return { path: pathColumn, label: labelColumn >= 0 ? labelColumn : null, heading: true };
  const imageColumn = Math.max(0, first.findIndex(looksLikeImage));
  if (labelColumn >= 0) return { path: labelColumn === 0 ? 1 : 0, label: labelColumn, heading: true };
  const other = first.findIndex((_, i) => i !== imageColumn);
  return { path: imageColumn, label: other >= 0 ? other : null, heading: !first.some(looksLikeImage) };
}
