/** Temporary folders and small images for the tests of this room. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { onTestFinished } from 'vitest';

/** A folder that is deleted when the test ends. */
export async function scratch(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'espalier-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file, making its folders. */
export async function put(folder: string, name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

/** An image file of one colour. */
export function plain(
  [r, g, b]: readonly [number, number, number],
  format: 'png' | 'jpeg' | 'webp' = 'png',
  [height, width]: readonly [number, number] = [8, 8],
): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } })
    .toFormat(format, { lossless: true, quality: 100 })
    .toBuffer();
}

/** An image file of these bytes, height × width × channels. */
export function picture(
  data: Uint8Array,
  [height, width, channels]: readonly [number, number, 1 | 3 | 4],
): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels } }).png().toBuffer();
}

/** An IDX file of bytes. */
export function idxBytes(dims: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * dims.length);
  header[2] = 8;
  header[3] = dims.length;
  dims.forEach((d, i) => void header.writeUInt32BE(d, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

/** A CIFAR record: label bytes, then 3072 pixel bytes of one value. */
export const cifarRecord = (labels: readonly number[], value: number): Buffer =>
  Buffer.concat([Buffer.from(labels), Buffer.alloc(3072, value)]);
