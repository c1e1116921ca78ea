/**
 * Builds a protobuf message whose size is known before its large payloads are read: small fields are encoded at
 * once, ranges of files and tensor values stay references until the message is written.
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
import type { Sink } from '../../atomic';
import type { Source } from '../source';
import { wire } from './protobuf';

/** A payload that is produced when the message is written. */
export interface Payload {
  readonly length: number;
  write(sink: Sink): void;
}

interface FileRange {
  readonly source: Source;
  readonly start: number;
  end: number;
}

/** Ranges of files are copied in pieces of this size. */
const CHUNK = 1024 * 1024;
const MAX_INT64 = 2 ** 63;

export class MessageWriter {
  /** Bytes of the message. */
  length = 0;
  private readonly parts: (Uint8Array | FileRange | Payload)[] = [];
  private buffer = Buffer.allocUnsafe(64);
  private filled = 0;

  /** An integer field; beyond the range of int64 its ends. */
  int(field: number, value: number): this {
    this.tag(field, wire.varint);
    this.varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.tag(field, wire.fixed32);
    this.reserve(4);
    this.buffer.writeFloatLE(value, this.filled);
    this.filled += 4;
    this.length += 4;
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value, 'utf8'));
  }

  bytes(field: number, value: Uint8Array): this {
    this.tag(field, wire.bytes);
    this.varint(value.length);
    this.raw(value);
    return this;
  }

  message(field: number, child: MessageWriter): this {
    this.tag(field, wire.bytes);
    this.varint(child.length);
    this.append(child);
    return this;
  }

  payload(field: number, payload: Payload): this {
    this.tag(field, wire.bytes);
    this.varint(payload.length);
    this.flush();
    this.parts.push(payload);
    this.length += payload.length;
    return this;
  }

  /** Copies a range of a file: whole fields, or the payload after {@link header}. */
  copy(source: Source, start: number, end: number): this {
    const last = this.parts.at(-1);
    if (this.filled === 0 && last && 'end' in last && last.source === source && last.end === start) {
      last.end = end; // One long copy instead of thousands of short ones.
    } else {
      this.flush();
      this.parts.push({ source, start, end });
    }
    this.length += end - start;
    return this;
  }

  /** The tag and length of a payload that follows. */
  header(field: number, length: number): this {
    this.tag(field, wire.bytes);
    this.varint(length);
    return this;
  }

  write(sink: Sink): void {
    this.flush();
    for (const part of this.parts) {
      if (part instanceof Uint8Array) sink(part);
      else if ('source' in part) copyRange(part.source, part.start, part.end, sink);
      else part.write(sink);
    }
  }

  private append(child: MessageWriter): void {
    if (child.parts.length === 0) {
      this.raw(child.buffer.subarray(0, child.filled));
      return;
    }
    child.flush();
    this.flush();
    for (const part of child.parts) this.parts.push(part);
    this.length += child.length;
  }

  private raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.filled);
    this.filled += bytes.length;
    this.length += bytes.length;
  }

  private tag(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  private varint(value: number): void {
    if (!Number.isInteger(value)) throw new Error(`Not an integer: ${value}`);
    const isLargest = value >= MAX_INT64;
    let low = isLargest ? 0xffffffff : value >>> 0;
    let high = isLargest ? 0x7fffffff : Math.floor(Math.max(value, -MAX_INT64) / 2 ** 32) >>> 0;
    this.reserve(10);
    const start = this.filled;
    while (high !== 0 || low > 0x7f) {
      this.buffer[this.filled++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.buffer[this.filled++] = low;
    this.length += this.filled - start;
  }

  private reserve(length: number): void {
    if (this.filled + length <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.filled + length, 2 * this.buffer.length));
    larger.set(this.buffer.subarray(0, this.filled));
    this.buffer = larger;
  }

  /** Closes the run of encoded bytes, so that something else can follow it. */
  private flush(): void {
    if (this.filled === 0) return;
    this.parts.push(this.buffer.subarray(0, this.filled));
    this.buffer = Buffer.allocUnsafe(64);
    this.filled = 0;
  }
}

/** Passes a range of a file to a sink, piece by piece. A piece is valid until the next one. */
export function copyRange(source: Source, start: number, end: number, sink: Sink): void {
  const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - start));
  for (let at = start; at < end; at += chunk.length) {
    const piece = chunk.subarray(0, Math.min(chunk.length, end - at));
    source.readInto(at, piece);
    sink(piece);
  }
}
