/**
 * Every error a user can meet, in one place: code, message (where, what was found, what was expected) and hint.
 * Anything else that is thrown is a bug and is shown as unexpected, with its stack in the log.
 */

export class UserError extends Error {
  override readonly name = 'UserError';
  constructor(
    /** Stable, kebab-case; tests and scripts match on it. */
    readonly code: string,
    message: string,
    /** What to do next. */
    readonly hint: string,
  ) {
    super(message);
  }
}

/** The form in which an error crosses a process border. */
export interface ErrorInfo {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** Turns anything thrown into what is shown: a UserError as it is, everything else as `unexpected`. */
export function errorInfo(error: unknown): ErrorInfo {
  if (error instanceof UserError) return { code: error.code, message: error.message, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unexpected', message, hint: 'This is a bug in Espalier. The log has the details.' };
}

export function cancelled(): UserError {
  return new UserError(
    'cancelled',
    'The work was cancelled.',
    'Nothing was written. Start it again when you are ready.',
  );
}

/** Cancelled, with a checkpoint to go on from. */
export function trainingStopped(): UserError {
  return new UserError(
    'cancelled',
    'The training was stopped.',
    'The same command with --resume goes on where it was; without, it starts anew.',
  );
}

export function engineLost(detail: string): UserError {
  return new UserError(
    'engine-lost',
    `The connection to the engine was lost before it answered (${detail}).`,
    'Try again: the engine starts anew with the next request.',
  );
}

export function modelDoesNotLoad({ label, found }: { label: string; found: string }): UserError {
  return new UserError(
    'model-does-not-load',
    `ONNX Runtime could not load ${label}: ${found}`,
    'The model needs operators or types that this runtime does not have, or is not valid. Inspecting weights still works.',
  );
}

export function modelDoesNotRun({ label, found }: { label: string; found: string }): UserError {
  return new UserError(
    'model-does-not-run',
    `ONNX Runtime could not run ${label}: ${found}`,
    'Check the sizes of the inputs: set the free dimensions to values the model accepts.',
  );
}

export function deviceFailed({ device, found }: { device: string; found: string }): UserError {
  return new UserError(
    'device-failed',
    `The device '${device}' could not be used: ${found}`,
    "Choose the device 'cpu', or install the driver that the device needs.",
  );
}

export function shapesUnknown({ reason }: { reason: string }): UserError {
  return new UserError(
    'shapes-unknown',
    `The shapes of this model could not be found: ${reason}.`,
    'Give the sizes of its inputs, for example --shape name=1,3,224,224, or in the editor’s header.',
  );
}

export function channelGroupUnknown({ group, found }: { group: string; found: readonly string[] }): UserError {
  const some = found.slice(0, 5).map((name) => `'${name}'`);
  return new UserError(
    'channel-group-unknown',
    `The model has no group of channels '${group}'; it has ${some.join(', ') || 'none'}${found.length > 5 ? ', …' : ''}.`,
    'The plan belongs to another model, or to another version of this one. Make it again.',
  );
}

export function channelUnknown(place: { group: string; channel: number; count: number }): UserError {
  return new UserError(
    'channel-unknown',
    `The group '${place.group}' has channels 0 to ${place.count - 1}, but the plan removes ${place.channel}.`,
    'The plan belongs to another model, or to another version of this one. Make it again.',
  );
}

export function channelsAllRemoved({ group }: { group: string }): UserError {
  return new UserError(
    'channels-all-removed',
    `The plan removes every channel of the group '${group}'.`,
    'Leave at least one.',
  );
}

export function channelGroupFixed({ group, reason }: { group: string; reason: string }): UserError {
  return new UserError(
    'channel-group-fixed',
    `The channels of '${group}' can't be removed: ${reason}.`,
    'Leave this group out of the plan.',
  );
}

export function datasetNotFound(path: string): UserError {
  return new UserError(
    'dataset-not-found',
    `There is no dataset at '${path}'.`,
    'Check the path. A relative path starts at the folder of the file that names it.',
  );
}

export function datasetUnknown({ path, found }: { path: string; found: string }): UserError {
  return new UserError(
    'dataset-unknown',
    `'${path}' is not a dataset: found ${found}.`,
    'Give a folder of class folders with images (PNG, JPEG, WebP, GIF, TIFF, AVIF), CIFAR .bin files, IDX files, .npz or .npy arrays, a .csv of paths and labels, or a *.dataset.json that names one of those.',
  );
}

export function datasetEmpty(path: string): UserError {
  return new UserError(
    'dataset-empty',
    `The dataset '${path}' holds no images.`,
    'Check that it is the right folder or file.',
  );
}

export function datasetMalformed(place: { path: string; found: string; expected: string }): UserError {
  return new UserError(
    'dataset-malformed',
    `'${place.path}': found ${place.found}, expected ${place.expected}.`,
    'The file is damaged, incomplete or of another kind. Download or write it again.',
  );
}

export function datasetTooLarge({ path, bytes, limit }: { path: string; bytes: number; limit: number }): UserError {
  return new UserError(
    'dataset-too-large',
    `'${path}' unpacks to ${bytes} bytes; at most ${limit} fit here.`,
    'Unpack it yourself, or use a smaller part of the data.',
  );
}

export function datasetPathOutside({ file, path }: { file: string; path: string }): UserError {
  return new UserError(
    'dataset-path-outside',
    `'${file}' leads to '${path}', which is outside its folder.`,
    'Data may only be in the folder that was named or below, by a relative path and not through a link that leads out. Move the data there, or give the data itself.',
  );
}

export function datasetAmbiguous({ path, found }: { path: string; found: readonly string[] }): UserError {
  return new UserError(
    'dataset-ambiguous',
    `'${path}' holds several things that could be the data: ${found.join(', ')}.`,
    'Name the file you mean, or write a *.dataset.json with "path" and "labels".',
  );
}

export function labelUnmapped({ path, label }: { path: string; label: string }): UserError {
  return new UserError(
    'label-unmapped',
    `'${path}': label '${label}' is in neither "labelMap" nor "classes".`,
    'Add it to the dataset file, or leave both out to number the classes in the order of their names.',
  );
}

export function labelOutOfRange(place: { where: string; label: number; classes: number }): UserError {
  return new UserError(
    'label-out-of-range',
    `${place.where}: label ${place.label}, expected 0 to ${place.classes - 1}.`,
    'The labels do not fit the number of classes. Check the data, or map the labels with "labelMap" in a *.dataset.json.',
  );
}

export function noReadableImages({ path, first }: { path: string; first: string }): UserError {
  return new UserError(
    'no-readable-images',
    `No image of '${path}' could be read. The first: ${first}.`,
    'Check the files, and the preprocessing if it says something about sizes.',
  );
}

export function imageSizesDiffer(place: { name: string; found: string; expected: string }): UserError {
  return new UserError(
    'image-sizes-differ',
    `Image '${place.name}' is ${place.found} after preprocessing, expected ${place.expected}.`,
    'Set "resize" in the preprocessing, so that all images get the size the model expects.',
  );
}

export function inputNotImage({ name, shape }: { name: string; shape: string }): UserError {
  return new UserError(
    'input-not-image',
    `The model's input '${name}' has shape ${shape}, expected four axes with 1 or 3 channels.`,
    'Evaluation and calibration work for models that take images.',
  );
}

export function preprocessingInvalid({ found, expected }: { found: string; expected: string }): UserError {
  return new UserError(
    'preprocessing-invalid',
    `Preprocessing: found ${found}, expected ${expected}.`,
    'Correct the preprocessing in the settings, the recipe or the *.dataset.json.',
  );
}

export function engineStopped(end: {
  exitCode: number | null;
  signal: string | null;
  method: string;
  lastWords: string;
}): UserError {
  const how = end.signal ? `signal ${end.signal}` : `exit code ${end.exitCode}`;
  const words = end.lastWords ? ` Its last words: "${end.lastWords}".` : '';
  const memory = end.signal === 'SIGKILL' ? ' A process that uses too much memory is often ended this way.' : '';
  return new UserError(
    'engine-stopped',
    `The engine process ended (${how}) while it worked on '${end.method}'.${words}`,
    `Nothing was written. Try again: the engine starts anew with the next request.${memory} The log has more (Espalier: Show Log).`,
  );
}

export function workspaceNotTrusted(): UserError {
  return new UserError(
    'workspace-not-trusted',
    'This workspace is not trusted, so models in it can be inspected but no pruning can be run.',
    'Trust the workspace (Manage Workspace Trust), then run again.',
  );
}

export function noModelOpen(): UserError {
  return new UserError('no-model-open', 'No model is open.', 'Open an .onnx file first (Espalier: Inspect Model).');
}

export function notOnDisk({ uri }: { uri: string }): UserError {
  return new UserError(
    'not-on-disk',
    `'${uri}' is not a file on the disk of the machine that VS Code works on.`,
    'Copy the model to that disk and open it there.',
  );
}

export function modelDeleted({ path }: { path: string }): UserError {
  return new UserError(
    'model-deleted',
    `'${path}' is no longer there.`,
    'Restore the file, or close this editor. Its settings come back when the file does.',
  );
}

export function nothingToSave(): UserError {
  return new UserError('nothing-to-save', 'There is no pruned model to save yet.', 'Run the pruning first.');
}

export function runInterrupted(): UserError {
  return new UserError(
    'run-interrupted',
    'The run ended with the window it was started in.',
    'Nothing was written. Run again with the same settings.',
  );
}

export function runUnknown({ id }: { id: string }): UserError {
  return new UserError(
    'run-unknown',
    `There is no record of the run '${id}' any more.`,
    'Run again with the settings you want.',
  );
}

export function runInProgress(): UserError {
  return new UserError(
    'run-in-progress',
    'A run of this model is going on.',
    'Wait for its end, or cancel it (Espalier: Cancel Pruning).',
  );
}

export function recipeInvalid(place: { file: string; found: string; expected: string }): UserError {
  return new UserError(
    'recipe-invalid',
    `'${place.file}' is not a pruning recipe: found ${place.found}, expected ${place.expected}.`,
    'Correct the file: the JSON editor marks the place. A valid one is written by Espalier: Export Recipe.',
  );
}

export function compareNeedsTwo({ found }: { found: number }): UserError {
  return new UserError(
    'compare-needs-two',
    `Comparing takes two models, found ${found} selected.`,
    'Select two .onnx files in the Explorer, right-click and choose Compare Models.',
  );
}

export function sampleMissing({ folder }: { folder: string }): UserError {
  return new UserError(
    'sample-missing',
    `The sample model is not there: '${folder}' was expected to hold an .onnx file.`,
    'Install the extension again.',
  );
}

export function viewRequestInvalid({ method, reason }: { method: string; reason: string }): UserError {
  return new UserError(
    'view-request-invalid',
    `The screen asked for '${method}' with something unexpected: ${reason}.`,
    'Close and reopen the editor. If it happens again, it is a bug in Espalier.',
  );
}

export function weightNotReadable({ layer }: { layer: string }): UserError {
  return new UserError(
    'weight-not-readable',
    `The weight of layer '${layer}' could not be read as numbers.`,
    'Protect this layer, or convert its weight to float32.',
  );
}

export function fileNotFound({ path }: { path: string }): UserError {
  return new UserError(
    'file-not-found',
    `There is no file '${path}'.`,
    'Check the spelling, and that it was not moved or deleted.',
  );
}

export function cannotRead({ path, reason }: { path: string; reason: string }): UserError {
  return new UserError(
    'cannot-read',
    `'${path}' can't be read: ${reason}.`,
    'Choose a model file that you are allowed to read.',
  );
}

export function fileChanged({ path }: { path: string }): UserError {
  return new UserError(
    'file-changed',
    `'${path}' was changed by another program since it was opened.`,
    'Wait until it is complete, then open it again.',
  );
}

export function emptyFile({ path }: { path: string }): UserError {
  return new UserError(
    'empty-file',
    `'${path}' is empty (0 bytes); an ONNX model was expected.`,
    'Export or download it again.',
  );
}

export function unsupportedFormat({ path, found, hint }: { path: string; found: string; hint: string }): UserError {
  return new UserError('unsupported-format', `'${path}' is ${found}. Espalier reads ONNX models (.onnx).`, hint);
}

export function noGraph({ path }: { path: string }): UserError {
  return new UserError(
    'no-graph',
    `'${path}' has no graph: an ONNX model was expected.`,
    'Check that this is a whole model and not a tensor or a part of a download.',
  );
}

export function corruptModel(place: {
  path: string;
  offset: number;
  /** Which part was being read, e.g. `a node`. */
  inside: string;
  expected: string;
  found: string;
}): UserError {
  return new UserError(
    'corrupt-model',
    `'${place.path}' is damaged or not an ONNX model: at byte ${place.offset}, in ${place.inside}, expected ${place.expected}, found ${place.found}.`,
    'Export or download it again. If other programs read it, please report it with the file.',
  );
}

export function modelTooComplex({ path, limit }: { path: string; limit: number }): UserError {
  return new UserError(
    'model-too-complex',
    `The graph of '${path}' has so many parts that listing them would take more than ${limit / 2 ** 20} MiB of memory.`,
    'Check that the file is a real model; if it is, split it.',
  );
}

export function nestingTooDeep({ path, offset, limit }: { path: string; offset: number; limit: number }): UserError {
  return new UserError(
    'nesting-too-deep',
    `'${path}': the graph at byte ${offset} lies deeper than ${limit} levels of control flow.`,
    'Check that the file is a real model; if it is, simplify its control flow.',
  );
}

export function unknownDataType({ path, tensor, code }: { path: string; tensor: string; code: number }): UserError {
  return new UserError(
    'unknown-data-type',
    `'${path}': tensor '${tensor}' has element type ${code}, which ONNX did not define when this version was made.`,
    'Update Espalier, or export the model with an older ONNX version.',
  );
}

export function tensorDims(place: { path: string; tensor: string; dims: readonly number[] }): UserError {
  return new UserError(
    'tensor-dims',
    `'${place.path}': tensor '${place.tensor}' has the impossible shape [${shorten(place.dims)}].`,
    'The file is damaged. Export or download it again.',
  );
}

export function tensorSize(place: {
  path: string;
  tensor: string;
  dims: readonly number[];
  expected: number;
  found: number;
}): UserError {
  return new UserError(
    'tensor-size',
    `'${place.path}': tensor '${place.tensor}' of shape [${shorten(place.dims)}] needs ${place.expected} bytes of values, found ${place.found}.`,
    'The file is damaged or cut off. Export or download it again.',
  );
}

export function sparseIndex({ tensor, index, size }: { tensor: string; index: number; size: number }): UserError {
  return new UserError(
    'sparse-index',
    `The sparse tensor '${tensor}' has a value at ${index}, where ${size} is the number of places.`,
    'The file is damaged. Export or download it again.',
  );
}

export function tensorTooLarge(place: { tensor: string; bytes: number; limit: number }): UserError {
  return new UserError(
    'tensor-too-large',
    `Tensor '${place.tensor}' takes ${place.bytes} bytes; one tensor may take ${place.limit} at most.`,
    'Protect the layers that use it.',
  );
}

export function stringTensor({ tensor }: { tensor: string }): UserError {
  return new UserError(
    'string-tensor',
    `Tensor '${tensor}' holds text, not numbers.`,
    'Protect the layers that use it.',
  );
}

export function externalDataPath(place: {
  model: string;
  tensor: string;
  location: string;
  reason: string;
}): UserError {
  return new UserError(
    'external-data-path',
    `'${place.model}': the values of tensor '${place.tensor}' are said to lie in '${place.location}', which is refused: ${place.reason}.`,
    'Models may only use files in their own folder. Be careful with this file if you did not make it yourself.',
  );
}

export function externalDataMissing(place: { model: string; tensor: string; location: string }): UserError {
  return new UserError(
    'external-data-missing',
    `'${place.model}': the values of tensor '${place.tensor}' lie in '${place.location}', which is not there.`,
    'Put that file beside the model, under this name.',
  );
}

export function externalDataRange(place: {
  path: string;
  tensor: string;
  file: string;
  offset: string | undefined;
  length: string | undefined;
  size: number;
}): UserError {
  return new UserError(
    'external-data-range',
    `'${place.path}': the values of tensor '${place.tensor}' are said to lie in '${place.file}' at offset ${place.offset ?? 0}, length ${place.length ?? 'not given'}; that file has ${place.size} bytes.`,
    'The data file is cut off or belongs to another model. Download both again.',
  );
}

export function duplicateValue({ value }: { value: string }): UserError {
  return new UserError(
    'duplicate-value',
    `The value '${value}' is defined twice; in ONNX every value has one definition.`,
    'Export the model again.',
  );
}

export function undefinedValue({ value, node }: { value: string; node: string }): UserError {
  return new UserError(
    'undefined-value',
    `Node '${node}' reads '${value}', which no node, input or initializer defines.`,
    'The file is damaged or incomplete. Export the model again.',
  );
}

export function undefinedOutput({ value }: { value: string }): UserError {
  return new UserError(
    'undefined-output',
    `The graph's output '${value}' is not defined by any node, input or initializer.`,
    'The file is damaged or incomplete. Export the model again.',
  );
}

export function valueBeforeDefinition(place: { value: string; node: string; producer: string }): UserError {
  return new UserError(
    'value-before-definition',
    `Node '${place.node}' reads '${place.value}' before node '${place.producer}' defines it; ONNX wants nodes in order of execution.`,
    'Save the model with its nodes in topological order.',
  );
}

export function cyclicGraph({ value, node }: { value: string; node: string }): UserError {
  return new UserError(
    'cyclic-graph',
    `The graph has a cycle: node '${node}' reads '${value}', which depends on that node's own result.`,
    'Express the repetition with a Loop or Scan node.',
  );
}

function shorten(dims: readonly number[]): string {
  return dims.length <= 8 ? dims.join(', ') : `${dims.slice(0, 8).join(', ')}, … ${dims.length} in all`;
}

export function nonFiniteMatrix(place: {
  row: number;
  col: number;
  rows: number;
  cols: number;
  found: number;
}): UserError {
  return new UserError(
    'non-finite-matrix',
    `Row ${place.row}, column ${place.col} of a ${place.rows} × ${place.cols} matrix is ${place.found}; a finite number was expected.`,
    'The weights or the data hold NaN, infinite or huge values. Check how the model was trained or exported.',
  );
}

export function notPositiveDefinite({ row, order, pivot }: { row: number; order: number; pivot: number }): UserError {
  return new UserError(
    'not-positive-definite',
    `A ${order} × ${order} least-squares system is singular: pivot ${row} is ${pivot}, expected more than rounding noise.`,
    'Use more calibration images or a larger ridge term.',
  );
}

export function matrixTooLarge(bytes: number): UserError {
  return new UserError(
    'matrix-too-large',
    `The linear algebra of one layer needs ${(bytes / 2 ** 30).toFixed(1)} GiB of memory; expected at most 4 GiB, and as much to be free.`,
    'Close other programs, or protect this layer so that it is left as it is.',
  );
}

export function spectraWorkerFailed({ reason }: { reason: string }): UserError {
  return new UserError(
    'spectra-worker-failed',
    `The thread that computes singular values stopped: ${reason}.`,
    'Ask again: a new thread takes its place. If memory is short, close other programs or open a smaller model.',
  );
}

export function laneStopped({ code }: { code: number }): UserError {
  return new UserError(
    'worker-stopped',
    `The worker that did this job stopped with code ${code}.`,
    'It was probably out of memory. Nothing was written; try again with fewer calibration images or a smaller input.',
  );
}

export function outputExists({ path }: { path: string }): UserError {
  return new UserError(
    'output-exists',
    `'${path}' exists already and is not replaced without being asked.`,
    'Choose another name, or say that it may be overwritten.',
  );
}

export function externalDataUnreachable({ part }: { part: string }): UserError {
  return new UserError(
    'external-data-unreachable',
    `The model's ${part} keeps values in a data file, in a form that can only be copied.`,
    'Save the model with all data inside (`onnx.save_model` with `save_as_external_data=False`) and open that.',
  );
}

export function modelTooLarge({ bytes, limit }: { bytes: number; limit: number }): UserError {
  return new UserError(
    'model-too-large',
    `The model would take ${bytes} bytes in one piece; ONNX allows ${limit}.`,
    'Use a model that keeps its weights in a data file, or work on a part of it.',
  );
}

export function outputIsSource({ path }: { path: string }): UserError {
  return new UserError(
    'output-is-source',
    `'${path}' belongs to the model that was opened, which is never changed.`,
    'Choose another name or folder.',
  );
}

export function cannotWrite({ path, reason }: { path: string; reason: string }): UserError {
  return new UserError(
    'cannot-write',
    `'${path}' can't be written: ${reason}. Nothing was left behind.`,
    'Choose a folder that exists, that you may write to, and that has room.',
  );
}

export function inputsNotOneImage({ path, found }: { path: string; found: readonly string[] }): UserError {
  return new UserError(
    'inputs-not-one-image',
    `${path} has ${found.length} inputs (${found.join(', ')}), expected one image.`,
    'Calibration and evaluation work for models with a single image input; pruning by weights alone works for all.',
  );
}

export function verificationFailed({ check, detail }: { check: string; detail: string }): UserError {
  return new UserError(
    'verification-failed',
    `The pruned model was not accepted: '${check}' failed: ${detail}.`,
    'Nothing was saved. Protect the layers you suspect, and please report this with the recipe.',
  );
}

export function layerUnknown({ layer, path }: { layer: string; path: string }): UserError {
  return new UserError(
    'layer-unknown',
    `${path} has no layer '${layer}'.`,
    'The names of the layers are in the model editor, and in what espalier inspect prints.',
  );
}

/** @param instead what to choose to do without images; absent where nothing does */
export function dataNeeded({ what, instead }: { what: string; instead?: string }): UserError {
  return new UserError(
    'data-needed',
    `No dataset was given, but ${what} needs images.`,
    instead
      ? `Choose a dataset (labels are optional), or ${instead}.`
      : 'Choose a dataset; labels are needed only where something learns from them.',
  );
}

export function scoreNeedsActivations({ score }: { score: string }): UserError {
  return new UserError(
    'score-needs-activations',
    `The score ${score} is one of bases of the activations, but the basis of the weights was asked for.`,
    'Take the basis of the activations, or a score of the energy.',
  );
}

export function modelChanged({ path }: { path: string }): UserError {
  return new UserError(
    'model-changed',
    `${path} changed on disk while it was being pruned.`,
    'Nothing was written. Start the run again.',
  );
}

export function badUsage({ found, expected }: { found: string; expected: string }): UserError {
  return new UserError(
    'bad-usage',
    `Found ${found}, expected ${expected}.`,
    'espalier help lists the commands and their options.',
  );
}

export function outputNeeded(): UserError {
  return new UserError(
    'bad-usage',
    'No output file was given, expected -o <file>.',
    'Name the pruned model to write, or use --dry-run to see the plan.',
  );
}

export function recipeModelDiffers({
  path,
  found,
  expected,
}: {
  path: string;
  found: string;
  expected: string;
}): UserError {
  return new UserError(
    'recipe-model-differs',
    `${path} is not the model this recipe was made for: its sha256 is ${found.slice(0, 12)}…, expected ${expected.slice(0, 12)}….`,
    'Use the original model, or remove "sha256" from the recipe to apply it to this one.',
  );
}

export function noGradient({ opType, node }: { opType: string; node: string }): UserError {
  return new UserError(
    'no-gradient',
    `Node '${node}' lies between the loss and a tensor to train, but the gradient of its operator, ${opType}, is not known.`,
    'Train only layers after this node, or use a method that needs no training.',
  );
}

export function opsetTooOld({ opset, oldest }: { opset: number; oldest: number }): UserError {
  return new UserError(
    'opset-too-old',
    `The model uses operator set ${opset}; training needs ${oldest} or later.`,
    'Export the model again with a newer operator set. Pruning without training works as it is.',
  );
}

export function trainingDiverged({
  step,
  found,
  checkpoint,
}: {
  step: number;
  found: string;
  checkpoint: string | undefined;
}): UserError {
  const kept = checkpoint ? ' The last good checkpoint was kept.' : '';
  return new UserError(
    'training-diverged',
    `Training went wrong at step ${step}: found ${found}.${kept}`,
    'Lower the learning rate (a tenth is a good next try), or clip the gradient.',
  );
}

export function checkpointInvalid({
  file,
  found,
  expected,
}: {
  file: string;
  found: string;
  expected: string;
}): UserError {
  return new UserError(
    'checkpoint-invalid',
    `'${file}' can't be resumed: found ${found}, expected ${expected}.`,
    'Start the training anew, without resuming.',
  );
}

export function checkpointDiffers(): UserError {
  return new UserError(
    'checkpoint-differs',
    'The checkpoint belongs to another run: its model, data or training options are not those asked for.',
    'Use the same model, data and options as the run that was stopped, or start anew without resuming.',
  );
}

export function notTrainable({ choice }: { choice: string }): UserError {
  return new UserError(
    'not-trainable',
    `The choice '${choice}' leaves nothing of this model to train.`,
    "Train more of it: 'all' trains every weight that is stored as floating-point numbers.",
  );
}

export function notAClassifier({ output, shape }: { output: string; shape: string }): UserError {
  return new UserError(
    'not-a-classifier',
    `The output '${output}' has the shape ${shape}, which is no list of classes, but the loss needs one.`,
    "Use the loss 'match', which compares outputs as numbers.",
  );
}

export function trainingNeeded({ method }: { method: string }): UserError {
  return new UserError(
    'training-needed',
    `The method ${method} prunes by training, but no training was asked for.`,
    'Set the epochs of the training to 1 or more, and choose images with labels.',
  );
}

export function ticketDiffers({
  path,
  layer,
  found,
  expected,
}: {
  path: string;
  layer: string | null;
  found: string | undefined;
  expected: string;
}): UserError {
  const where = layer === null ? '' : ` for the layer '${layer}'`;
  return new UserError(
    'ticket-differs',
    `${path} can't give its zeros to this model: found ${found ?? 'no such layer'}${where}, expected ${expected}.`,
    'Name a model that was pruned with gsm from one of the same architecture.',
  );
}

const LABEL_USES = {
  loss: {
    what: 'the loss uses them',
    instead: 'learn from the original model (loss: distill), which needs none',
  },
  classifier: { what: 'a new classifier learns from them', instead: 'keep the classifier that the model has' },
  drop: { what: 'the accuracy that the target speaks of is measured with them', instead: 'another target' },
} as const;

export function labelsNeeded({ path, use }: { path: string; use: keyof typeof LABEL_USES }): UserError {
  const { what, instead } = LABEL_USES[use];
  return new UserError('labels-needed', `${path} has no labels, but ${what}.`, `Choose labelled data, or ${instead}.`);
}

export function mixNeedsOriginal(): UserError {
  return new UserError(
    'mix-needs-original',
    'Images are to be mixed (training.augment.mix), but the loss uses labels, and a mixture of images has none.',
    'Learn from the original model alone (loss distill or match, labelShare 0), or do not mix.',
  );
}

export function tooFewImages({ path, found, expected }: { path: string; found: number; expected: number }): UserError {
  return new UserError(
    'too-few-images',
    `${path} has ${found} images; the model takes batches of exactly ${expected}.`,
    'Use more images, or export the model with a free batch axis.',
  );
}

export function headNotReplaceable({
  path,
  layer,
  reason,
}: {
  path: string;
  layer: string | null;
  reason: string;
}): UserError {
  const where = layer ? `'${layer}', the last layer of ${path},` : path;
  return new UserError(
    'head-not-replaceable',
    `${where} can't be given other classes: ${reason}.`,
    'Transfer learning needs a model that ends in a dense layer or a 1×1 convolution, followed at most by a softmax.',
  );
}

export function classesUnknown({ path }: { path: string }): UserError {
  return new UserError(
    'classes-unknown',
    `${path} does not say how many classes it has, which a new classifier needs to know.`,
    'Choose labelled data with at least two classes, or set "transfer": { "classes": … } in the recipe.',
  );
}

export function featureLayersUnknown({ globs }: { globs: readonly string[] }): UserError {
  return new UserError(
    'feature-layers-unknown',
    `No layer matches ${globs.map((glob) => `'${glob}'`).join(', ')} in "featureLayers".`,
    'The names of the layers are in the model editor, and in what espalier inspect prints.',
  );
}

export function latencyNotReachable({ target, fastest }: { target: string; fastest: string }): UserError {
  return new UserError(
    'latency-not-reachable',
    `The target of ${target} can't be met: the fastest trial, with nearly everything pruned, took ${fastest}.`,
    'Ask for less, unlock layers, or prune to a share of the multiply-accumulates instead.',
  );
}

export function resRepTarget({ kind }: { kind: string }): UserError {
  return new UserError(
    'resrep-target',
    `ResRep prunes to a share of the multiply-accumulates; the target is one of ${kind}.`,
    'Give the target as macs, for example macs=0.5, or as latency, which is turned into one.',
  );
}

/** @param declined groups with why each has no compactors */
export function nothingToCompact({ declined }: { declined: readonly (readonly [string, string])[] }): UserError {
  const byReason = new Map<string, string[]>();
  for (const [group, reason] of declined) {
    const own = reason.startsWith(`${group}: `) ? reason.slice(group.length + 2) : reason;
    byReason.set(own, [...(byReason.get(own) ?? []), group]);
  }
  const reasons = [...byReason]
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, SHOWN_REASONS)
    .map(([reason, [first, ...more]]) => `${first}${more.length ? ` and ${more.length} more` : ''}: ${reason}`);
  return new UserError(
    'nothing-to-compact',
    `No group of channels can be pruned by ResRep. ${reasons.join('; ') || 'The model has no groups of channels'}.`,
    'Choose another method, release what is locked or protected, or include residual chains (resrep.followers).',
  );
}

const SHOWN_REASONS = 3;

/**
 * @param masked step by which the last row should be masked, perhaps after the end
 * @param epochs that would be enough; null when none are
 * @param lambda of masked rows that would be enough; null when none is
 * @param faster whether masking all rows at once would be enough
 */
export function resRepTooShort({
  reach,
  needed,
  steps,
  masked,
  epochs,
  lambda,
  faster,
}: {
  reach: number;
  needed: number;
  steps: number;
  masked: number;
  epochs: number | null;
  lambda: number | null;
  faster: boolean;
}): UserError {
  const ways = [
    ...(epochs === null ? [] : [`train for ${epochs} epochs`]),
    ...(faster ? ['mask more rows at a time (resrep.rowsPerRefresh)'] : []),
    ...(lambda === null ? [] : [`set resrep.maskedLambda to ${lambda} or more`]),
    'take the schedule short, which fits itself to the number of steps',
  ].join(', or ');
  return new UserError(
    'resrep-too-short',
    masked >= steps
      ? `The training is too short: the last row would be masked at about step ${masked}, and it ends after ${steps}.`
      : `The training is too short for masked rows to reach zero: after the last of them is masked, at about step ${masked} of ${steps}, a norm of 1 falls by ${reach.toPrecision(2)}, and ${needed} are needed.`,
    `${ways[0].toUpperCase()}${ways.slice(1)}. resrep.unchecked starts all the same.`,
  );
}
