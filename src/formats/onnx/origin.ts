/**
 * Where the elements of an ONNX graph were read from, and the file they were read from.
 * The writer copies the bytes of every element that is still the object that was read.
 */
import { type Origin, origin } from '../../graph/graph';
import type { ProtobufReader } from '../binary/protobuf';
import type { Source } from '../source';
import type { ExternalFile, ExternalFiles } from './external';

/** The protobuf field that an element was read from. */
export class FieldOrigin implements Origin {
  /** Set once the element exists. */
  element: object = this;
  /** Whether the element holds tensors whose values lie in another file. */
  external = false;
  /** Name of an attribute; a graph holds it as a key. */
  key = '';

  constructor(
    readonly source: Source,
    /** Field number in the enclosing message. */
    readonly field: number,
    /** Where the tag starts. */
    readonly fieldStart: number,
    /** Where the payload starts. */
    readonly start: number,
    /** Where the payload and the field end. */
    readonly end: number,
  ) {}
}

/** The field that the reader stands in, as the origin of the element it holds. Enters its payload. */
export function fieldOrigin(reader: ProtobufReader): FieldOrigin {
  const { field, fieldStart, source } = reader;
  const end = reader.payloadEnd();
  return new FieldOrigin(source, field, fieldStart, reader.position, end);
}

/** The origin of an element that was read from an ONNX file, or of the element it is a changed copy of. */
export function originOf(element: object): FieldOrigin | undefined {
  const found = (element as { readonly [origin]?: Origin })[origin];
  return found instanceof FieldOrigin ? found : undefined;
}

/** The origin of an element that was not changed since it was read. */
export function untouched(element: object): FieldOrigin | undefined {
  const found = originOf(element);
  return found?.element === element ? found : undefined;
}

/** An open ONNX file. */
export interface OnnxFile {
  readonly source: Source;
  readonly external: ExternalFiles;
  /** Files that parts of the model refer to which Espalier carries along unread. */
  readonly keptExternal: ReadonlySet<ExternalFile>;
}
