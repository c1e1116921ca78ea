/**
 * The members of a ZIP archive, as NumPy's `.npz` needs them: stored members are read where they lie, deflated ones
 * are unpacked once. Source: APPNOTE.TXT 6.3.10 (sections 4.3 to 4.5), with the 64-bit sizes that NumPy writes.
 */
import { datasetMalformed } from '../errors';
import { type ByteSource, section, unpack } from './source';

export interface ZipMember {
  readonly name: string;
  readonly method: number;
  readonly packedSize: number;
  readonly size: number;
  readonly headerOffset: number;
}

const endSize = 22;
const maxComment = 0xffff;
const maxDirectory = 64 * 2 ** 20;
const full32 = 0xffffffff;
const stored = 0;
const deflated = 8;

/** Reads the central directory. Nothing it says has been checked against the members yet. */
export async function zipMembers(source: ByteSource): Promise<ZipMember[]> {
  const malformed = (found: string, expected: string) => datasetMalformed({ path: source.path, found, expected });
  const tailStart = Math.max(0, source.size - endSize - maxComment);
  const tail = viewOf(await source.read(tailStart, source.size - tailStart));
  let end = tail.byteLength - endSize;
  while (end >= 0 && tail.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0) throw malformed('no end of a ZIP directory', 'a ZIP archive (.npz)');
  let directorySize = tail.getUint32(end + 12, true);
  let directoryStart = tail.getUint32(end + 16, true);
  if (directorySize === full32 || directoryStart === full32 || tail.getUint16(end + 10, true) === 0xffff) {
    const locator = end - 20;
    if (locator < 0 || tail.getUint32(locator, true) !== 0x07064b50) throw malformed('no 64-bit directory', 'one');
    const recordStart = Number(tail.getBigUint64(locator + 8, true));
    if (!fits(recordStart, 56, source.size)) throw malformed(`a directory at byte ${recordStart}`, 'one in the file');
    const record = viewOf(await source.read(recordStart, 56));
    directorySize = Number(record.getBigUint64(40, true));
    directoryStart = Number(record.getBigUint64(48, true));
  }
  if (!fits(directoryStart, directorySize, source.size) || directorySize > maxDirectory)
    throw malformed(`a directory of ${directorySize} bytes at byte ${directoryStart}`, 'one that fits in the file');
  return parseDirectory(viewOf(await source.read(directoryStart, directorySize)), malformed);
}

function parseDirectory(view: DataView, malformed: (found: string, expected: string) => Error): ZipMember[] {
  const members: ZipMember[] = [];
  let at = 0;
  while (at < view.byteLength) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== 0x02014b50)
      throw malformed(`a damaged directory entry ${members.length}`, 'a whole one');
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const next = at + 46 + nameLength + extraLength + commentLength;
    if (next > view.byteLength) throw malformed(`a directory that ends in entry ${members.length}`, 'a whole one');
    if (view.getUint16(at + 8, true) & 1) throw malformed('an encrypted archive', 'an open one');
    const name = Buffer.from(view.buffer, view.byteOffset + at + 46, nameLength).toString('utf8');
    const [packedSize, size, headerOffset] = wideSizes(view, at, at + 46 + nameLength, extraLength);
    members.push({ name, method: view.getUint16(at + 10, true), packedSize, size, headerOffset });
    at = next;
  }
  return members;
}

/** Packed size, size and header offset; those that do not fit in 32 bits stand in extra field 1, in file order. */
function wideSizes(view: DataView, at: number, extraStart: number, extraLength: number): [number, number, number] {
  let packedSize = view.getUint32(at + 20, true);
  let size = view.getUint32(at + 24, true);
  let headerOffset = view.getUint32(at + 42, true);
  let field = extraStart;
  const end = extraStart + extraLength;
  while (field + 4 <= end) {
    const id = view.getUint16(field, true);
    const fieldEnd = field + 4 + view.getUint16(field + 2, true);
    if (id === 1 && fieldEnd <= end) {
      let value = field + 4;
      const wide = (narrow: number): number => {
        if (narrow !== full32 || value + 8 > fieldEnd) return narrow;
        value += 8;
        return Number(view.getBigUint64(value - 8, true));
      };
      size = wide(size);
      packedSize = wide(packedSize);
      headerOffset = wide(headerOffset);
    }
    field = fieldEnd;
  }
  return [packedSize, size, headerOffset];
}

export interface MemberLimits {
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** Opens a member's bytes. A stored member is read from the archive, which must stay open. */
export async function openMember(source: ByteSource, member: ZipMember, limits: MemberLimits): Promise<ByteSource> {
  const malformed = (found: string, expected: string) =>
    datasetMalformed({ path: `${source.path}:${member.name}`, found, expected });
  if (!fits(member.headerOffset, 30, source.size))
    throw malformed(`a header at byte ${member.headerOffset}`, 'one in the file');
  const header = viewOf(await source.read(member.headerOffset, 30));
  if (header.getUint32(0, true) !== 0x04034b50) throw malformed('no member header', 'one');
  const start = member.headerOffset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (!fits(start, member.packedSize, source.size))
    throw malformed(`${member.packedSize} packed bytes at byte ${start}`, `at most ${source.size - start}`);
  if (member.method === stored) {
    if (member.size !== member.packedSize) throw malformed(`two sizes, ${member.size} and ${member.packedSize}`, 'one');
    return section(source, start, member.size);
  }
  if (member.method !== deflated) throw malformed(`compression method ${member.method}`, 'stored or deflated');
  return unpack({
    path: source.path,
    format: 'deflate',
    start,
    length: member.packedSize,
    promisedSize: () => member.size,
    ...limits,
  });
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const fits = (start: number, length: number, size: number): boolean =>
  Number.isSafeInteger(start) && Number.isSafeInteger(length) && start >= 0 && start + length <= size;
