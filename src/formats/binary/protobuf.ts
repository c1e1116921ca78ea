/**
 * Walks a protobuf message over a file with a small window, so that large payloads are skipped without being read.
 * Source: https://protobuf.dev/programming-guides/encoding/. Every length and varint is checked against the
 * message it lies in; what does not fit is a `corrupt-model` error that names the byte.
 *
 * Use: `while (reader.next(end, 'a node')) switch (reader.field) { case 1: name = reader.string(); break; default: reader.skip(); }`
 */
import { corruptModel } from '../../errors';
import type { Source } from '../source';

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const WINDOW = 64 * 1024;
const MAX_TEXT = 64 * 1024 * 1024;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class ProtobufReader {
  /** Field number and wire type that {@link next} found. */
  field = 0;
  wireType = 0;
  /** Where the field's tag starts. */
  fieldStart = 0;
  private readonly window = Buffer.allocUnsafe(WINDOW);
  private readonly view = new DataView(this.window.buffer, this.window.byteOffset, WINDOW);
  /** Offset in the file of the window's first byte. */
  private base: number;
  private at = 0;
  private filled = 0;
  private end = 0;
  private message = '';
  /** Halves of the last varint. */
  private low = 0;
  private high = 0;

  constructor(
    readonly source: Source,
    start = 0,
  ) {
    this.base = start;
  }

  get position(): number {
    return this.base + this.at;
  }

  /**
   * Reads the next tag of the message that ends at `end`; false at its end.
   * @param message what is being read, for errors
   */
  next(end: number, message: string): boolean {
    this.end = end;
    this.message = message;
    const position = this.base + this.at;
    if (position === end) return false;
    this.fieldStart = position;
    this.varint();
    if (this.high !== 0 || this.low >>> 3 === 0) this.fail('a field number', `tag ${this.exact()}`, position);
    this.field = this.low >>> 3;
    this.wireType = this.low & 7;
    return true;
  }

  /** Ends of a nested message or payload; the position is its start. */
  payloadEnd(): number {
    this.expect(wire.bytes);
    const position = this.position;
    this.varint();
    const length = this.unsigned();
    const left = this.end - this.position;
    if (length > left) this.fail(`at most ${left} bytes`, `a length of ${this.exact()}`, position);
    return this.position + length;
  }

  /** Continues reading elsewhere. */
  moveTo(position: number): void {
    const at = position - this.base;
    if (at >= 0 && at <= this.filled) {
      this.at = at;
    } else {
      this.base = position;
      this.at = 0;
      this.filled = 0;
    }
  }

  skip(): void {
    switch (this.wireType) {
      case wire.varint:
        this.varint();
        return;
      case wire.fixed64:
        this.skipBytes(8);
        return;
      case wire.bytes:
        this.moveTo(this.payloadEnd());
        return;
      case wire.fixed32:
        this.skipBytes(4);
        return;
      default:
        this.fail('wire type 0, 1, 2 or 5', `wire type ${this.wireType}`);
    }
  }

  /** A signed integer; beyond 2^53 the nearest number. */
  int(): number {
    this.expect(wire.varint);
    this.varint();
    return this.signed();
  }

  /** Appends one or, when packed, many signed integers. */
  ints(into: number[]): void {
    if (this.wireType === wire.varint) {
      into.push(this.int());
      return;
    }
    this.eachVarint(() => into.push(this.signed()));
  }

  /** Calls back with the halves of one or, when packed, many varints. */
  varints(each: (low: number, high: number) => void): void {
    if (this.wireType === wire.varint) {
      this.varint();
      each(this.low, this.high);
      return;
    }
    this.eachVarint(() => each(this.low, this.high));
  }

  /** Appends one or, when packed, many 32-bit floats. */
  floats(into: number[]): void {
    if (this.wireType === wire.fixed32) {
      into.push(this.float());
      return;
    }
    const end = this.payloadEnd();
    if ((end - this.position) % 4 !== 0) this.fail('a multiple of 4 bytes', `${end - this.position} bytes`);
    while (this.position < end) into.push(this.fixed32());
  }

  /**
   * Copies one or, when packed, many fixed-size elements to the start of `target`, as far as they fit.
   * @param width 4 or 8 bytes
   * @returns bytes found
   */
  fixedInto(width: number, target: Uint8Array): number {
    const isSingle = this.wireType === (width === 4 ? wire.fixed32 : wire.fixed64);
    const end = isSingle ? this.position + width : this.payloadEnd();
    const start = this.position;
    if (end > this.end) this.fail(`${width} bytes`, 'the end of the data');
    if ((end - start) % width !== 0) this.fail(`a multiple of ${width} bytes`, `${end - start} bytes`);
    this.source.readInto(start, target.subarray(0, Math.min(end - start, target.length)));
    this.moveTo(end);
    return end - start;
  }

  float(): number {
    this.expect(wire.fixed32);
    if (this.position + 4 > this.end) this.fail('4 bytes', 'the end of the data');
    return this.fixed32();
  }

  /** @throws UserError `corrupt-model` for bytes that are not UTF-8 */
  string(): string {
    const start = this.fieldStart;
    return this.text() ?? this.fail('UTF-8 text of at most 64 MiB', 'something else', start);
  }

  /** The payload as text; null when it is not UTF-8 or more than 64 MiB. */
  text(): string | null {
    const end = this.payloadEnd();
    const length = end - this.position;
    if (length > WINDOW) {
      const bytes = length <= MAX_TEXT ? this.source.read(this.position, length) : null;
      this.moveTo(end);
      return bytes && decode(bytes);
    }
    if (this.at + length > this.filled) this.fill();
    const from = this.at;
    this.at += length;
    for (let i = from; i < this.at; i++) {
      if (this.window[i] > 0x7f) return decode(this.window.subarray(from, this.at));
    }
    // Most names are ASCII; this avoids a view for each.
    return this.window.toString('latin1', from, this.at);
  }

  /** @throws UserError `corrupt-model` */
  fail(expected: string, found: string, offset = this.position): never {
    throw corruptModel({ path: this.source.path, offset, inside: this.message, expected, found });
  }

  private expect(type: number): void {
    if (this.wireType !== type) {
      this.fail(`wire type ${type} for field ${this.field}`, `wire type ${this.wireType}`, this.fieldStart);
    }
  }

  private skipBytes(length: number): void {
    if (this.position + length > this.end) this.fail(`${length} bytes`, 'the end of the data');
    this.moveTo(this.position + length);
  }

  private eachVarint(each: () => void): void {
    const end = this.payloadEnd();
    const outer = this.end;
    this.end = end;
    while (this.position < end) {
      this.varint();
      each();
    }
    this.end = outer;
  }

  private fixed32(): number {
    if (this.at + 4 > this.filled) this.fill();
    const value = this.view.getFloat32(this.at, true);
    this.at += 4;
    return value;
  }

  private varint(): void {
    const start = this.position;
    let low = 0;
    let high = 0;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.filled) {
        if (this.position >= this.source.size) this.fail('an integer', 'the end of the file', start);
        this.fill();
      }
      const byte = this.window[this.at++];
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else if (i > 4) high |= (byte & 0x7f) << (7 * i - 32);
      else {
        low |= byte << 28;
        high = (byte & 0x7f) >> 4;
      }
      if (byte < 0x80) {
        if (this.position > this.end) this.fail(`an integer that ends by byte ${this.end}`, 'a longer one', start);
        this.low = low;
        this.high = high;
        return;
      }
    }
    this.fail('an integer of at most 10 bytes', 'a longer one', start);
  }

  private unsigned(): number {
    return (this.high >>> 0) * 2 ** 32 + (this.low >>> 0);
  }

  private exact(): bigint {
    return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
  }

  private signed(): number {
    return (this.high | 0) * 2 ** 32 + (this.low >>> 0);
  }

  /** Reads a window at the position. */
  private fill(): void {
    const position = this.position;
    const length = Math.min(WINDOW, this.source.size - position);
    this.source.readInto(position, this.window.subarray(0, length));
    this.base = position;
    this.at = 0;
    this.filled = length;
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}
