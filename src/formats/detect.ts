/**
 * Recognises model formats that Espalier does not read, by their first bytes or their name, so that the user learns
 * what the file is and how to get an ONNX model from it.
 */
import path from 'node:path';

export interface UnsupportedFormat {
  /** e.g. `a TensorFlow Lite model` */
  readonly found: string;
  /** How to get ONNX from it. */
  readonly hint: string;
}

const keras: UnsupportedFormat = {
  found: 'a Keras model',
  hint: "Convert it where it was trained: `model.export('model.onnx', format='onnx')` in Keras 3, or tf2onnx.",
};
const tflite: UnsupportedFormat = {
  found: 'a TensorFlow Lite model',
  hint: 'Convert it: `python -m tf2onnx.convert --tflite model.tflite --output model.onnx`.',
};
const pytorch: UnsupportedFormat = {
  found: 'a PyTorch checkpoint',
  hint: 'Load it where the network is defined and export it: `torch.onnx.export(model, (example_input,), "model.onnx")`.',
};
const safetensors: UnsupportedFormat = {
  found: 'a safetensors file (weights without a network)',
  hint: 'Load the weights into the network they belong to and export that: `torch.onnx.export`, or `optimum-cli export onnx`.',
};
const tfjs: UnsupportedFormat = {
  found: 'a TensorFlow.js model',
  hint: 'Convert it to a SavedModel with `tensorflowjs_converter`, then to ONNX with `python -m tf2onnx.convert --saved-model`.',
};
const tensorflow: UnsupportedFormat = {
  found: 'a TensorFlow graph',
  hint: 'Convert it: `python -m tf2onnx.convert --saved-model folder --output model.onnx` (or `--graphdef model.pb`).',
};
const ort: UnsupportedFormat = {
  found: 'a model in the ORT format',
  hint: 'Use the .onnx file it was made from.',
};
const lfs: UnsupportedFormat = {
  found: 'a Git LFS pointer, not the model itself',
  hint: 'Fetch the model with `git lfs pull`.',
};
const html: UnsupportedFormat = {
  found: 'a web page, not a model',
  hint: 'The download went wrong: download the file itself, not the page about it.',
};
const json: UnsupportedFormat = { found: 'a JSON file', hint: 'Choose an .onnx file.' };
const zip: UnsupportedFormat = { found: 'a zip archive', hint: 'Unpack it and choose the .onnx file.' };

const byExtension: Readonly<Record<string, UnsupportedFormat>> = {
  '.tflite': tflite,
  '.h5': keras,
  '.hdf5': keras,
  '.keras': keras,
  '.safetensors': safetensors,
  '.th': pytorch,
  '.pt': pytorch,
  '.pth': pytorch,
  '.ckpt': pytorch,
  '.pb': tensorflow,
  '.ort': ort,
  '.json': tfjs,
};

/** First bytes, at an offset. ONNX starts with a protobuf tag, so none of these can be one. */
const signatures: readonly { readonly at: number; readonly text: string; readonly format: UnsupportedFormat }[] = [
  { at: 0, text: '\x89HDF\r\n\x1a\n', format: keras },
  { at: 4, text: 'TFL3', format: tflite },
  { at: 4, text: 'ORTM', format: ort },
  { at: 0, text: 'PK\x03\x04', format: zip },
  { at: 0, text: '\x80\x02', format: pytorch },
  { at: 8, text: '{"', format: safetensors },
  { at: 0, text: 'version https://git-lfs', format: lfs },
  { at: 0, text: '<!DOCTYPE', format: html },
  { at: 0, text: '<!doctype', format: html },
  { at: 0, text: '<html', format: html },
  { at: 0, text: '{', format: json },
];

/** How many of a file's first bytes {@link formatOfContent} looks at. */
export const SIGNATURE_BYTES = 32;

/** The format that a file's first bytes give away. */
export function formatOfContent(file: string, start: Uint8Array): UnsupportedFormat | null {
  const text = Buffer.from(start).toString('latin1');
  const found = signatures.find((signature) => text.startsWith(signature.text, signature.at))?.format;
  if (!found) return null;
  // Archives and JSON hold many things: the name tells which.
  return found === zip || found === json ? (formatOfName(file) ?? found) : found;
}

/** The format that a file's name stands for. */
export function formatOfName(file: string): UnsupportedFormat | null {
  return byExtension[path.extname(file).toLowerCase()] ?? null;
}
