/** Copies parts of messages from the file they were read from. */
import { ProtobufReader } from '../binary/protobuf';
import type { MessageWriter } from '../binary/protobufWriter';
import type { FieldOrigin } from './origin';

export interface FieldRange {
  readonly field: number;
  /** Where the tag starts. */
  readonly start: number;
  readonly end: number;
}

/** The fields of a message in a file, as they lie there. */
export function fieldsOf(from: FieldOrigin): FieldRange[] {
  const reader = new ProtobufReader(from.source, from.start);
  const fields: FieldRange[] = [];
  while (reader.next(from.end, 'a message')) {
    const { field, fieldStart } = reader;
    reader.skip();
    fields.push({ field, start: fieldStart, end: reader.position });
  }
  return fields;
}

/** Copies the fields of a message in a file that are to be kept. */
export function copyFields(out: MessageWriter, from: FieldOrigin, isKept: (field: number) => boolean): void {
  for (const { field, start, end } of fieldsOf(from)) if (isKept(field)) out.copy(from.source, start, end);
}

/** Copies an element as it is, under the field number of its new place. */
export function copyElement(out: MessageWriter, field: number, from: FieldOrigin): void {
  if (from.field === field) out.copy(from.source, from.fieldStart, from.end);
  else out.header(field, from.end - from.start).copy(from.source, from.start, from.end);
}
