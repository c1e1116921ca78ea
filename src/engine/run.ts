/**
 * A pruning run, the whole way: calibrate, plan, decompose, refit, write a candidate, verify it, evaluate and measure it
 * against the original. The candidate lies in a folder of its own until it is saved.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { dataNeeded, modelChanged } from '../errors';
import { writeOnnx } from '../formats/onnx/write';
import type { AccuracyFacts } from '../protocol/facts';
import type { BeforeAfter, RunResult } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { CANDIDATE_PREFIX, CHECKPOINT_NAME, stagesOf } from '../protocol/runFolder';
import type { DeviceId } from '../runtime/session';
import { learnsAnew } from '../settings/images';
import { searchesAccuracy } from '../settings/rounds';
import type { Tensor } from '../tensor/tensor';
import { deviceOf } from './devices';
import { pruneToDrop } from './dropSearch';
import { evaluateModel } from './evaluate';
import { type Inputs, openInputs } from './inputs';
import { measuredSettings } from './measuredTarget';
import { fileStamp, type OpenedModel } from './models';
import { pruneInRounds } from './rounds';
import { identityOf, type RunRequest, type RunTools, type Scene, within } from './scene';
import { Stages } from './stages';
import { timeBoth } from './timing';
import { trainingOf } from './trainingOptions';
import { withNewClassifier } from './transfer';
import { noiseInputs, verifyCandidate } from './verify';

/** Parts of a run and their share of its time, for one progress bar. */
const SHARES = {
  adapt: [0, 0],
  search: [0, 0.05],
  prune: [0.05, 0.6],
  verify: [0.6, 0.65],
  evaluate: [0.65, 0.9],
  measure: [0.9, 1],
} as const;

const SHARES_WITH_TRAINING = {
  adapt: [0, 0.1],
  search: [0.1, 0.12],
  prune: [0.12, 0.92],
  verify: [0.92, 0.93],
  evaluate: [0.93, 0.99],
  measure: [0.99, 1],
} as const;

/** Of the other model whose zeros the run takes over. */
function ticketStamp({ folder, settings: { method, gsm } }: RunRequest): string[] {
  return method === 'gsm' && gsm.ticket !== undefined ? [fileStamp(path.resolve(folder, gsm.ticket))] : [];
}

/** @throws UserError of whatever stands in the way; then nothing but what a resumed run needs is left in `storage` */
export async function runPrune(request: RunRequest, tools: RunTools, context: RequestContext): Promise<RunResult> {
  const { storage } = request;
  const started = performance.now();
  const id = `${CANDIDATE_PREFIX}${Date.now().toString(36)}-${process.pid.toString(36)}`;
  const folder = path.join(storage, id);
  const device = await deviceOf(request.settings.device);
  const opened = await tools.models.withShapes(request.path, request.settings.shapes);
  const training = trainingOf(request.settings);
  const needsImages = training !== null || request.settings.transfer !== undefined;
  if (needsImages && !request.settings.data) throw dataNeeded({ what: 'training' });
  const shares = needsImages ? SHARES_WITH_TRAINING : SHARES;
  const checkpoint = request.checkpoint ?? path.join(storage, CHECKPOINT_NAME);
  const identity = identityOf(request, [opened.stamp, ...ticketStamp(request)].join());
  const stages = new Stages(stagesOf(checkpoint), identity, request.resume ?? false);
  let inputs: Inputs | null = null;
  let evaluation: Inputs | null = null;
  mkdirSync(folder, { recursive: true });
  try {
    const { data } = request.settings;
    if (data) {
      const open = (file: string): Promise<Inputs> =>
        openInputs(opened, path.resolve(request.folder, file), {
          preprocessing: data.preprocessing,
          isForeign: learnsAnew(request.settings),
          signal: context.signal,
        });
      inputs = await open(data.path);
      evaluation = data.evaluation ? await open(data.evaluation) : inputs;
    }
    const session = { device, threads: request.settings.threads };
    const { resume = false } = request;
    const common = { inputs, evaluation, folder: request.folder, session, tools, stages, checkpoint, identity, resume };
    const start: Scene = { ...common, settings: request.settings, base: opened, scratch: folder };
    const { transfer } = request.settings;
    const base =
      transfer && inputs
        ? await withNewClassifier({ ...start, inputs }, transfer, within(context, shares.adapt))
        : opened;
    const settings = await measuredSettings({ ...start, base }, within(context, shares.search));
    const scene: Scene = { ...start, base, settings };
    const {
      from,
      projection: found,
      decomposed: result,
      reference,
      checks,
      training: report,
      sparsity,
      stored,
      warnings,
    } = await (searchesAccuracy(settings) ? pruneToDrop : pruneInRounds)(scene, within(context, shares.prune));
    const projection = { ...found, before: base.facts.totals };
    context.signal.throwIfAborted();
    context.progress({ phase: 'write', message: 'Writing the candidate', fraction: shares.verify[0] });
    if (fileStamp(request.path) !== opened.stamp) throw modelChanged({ path: request.path });
    const extension = path.extname(request.path);
    const candidate = path.join(folder, `${path.basename(request.path, extension)}.pruned${extension}`);
    const written = writeOnnx(from.model, stored ?? result.graph, candidate, { overwrite: false });

    const feeds = await sampleFeeds(opened, inputs, settings);
    const verification = await verifyCandidate(candidate, {
      original: base.model,
      reference,
      totals: projection.after,
      shapes: settings.shapes,
      feeds,
      sparsity,
    });
    const accuracy = await evaluateBoth(
      base.model.path,
      settings,
      candidate,
      evaluation,
      device,
      within(context, shares.evaluate),
    );
    context.progress({ phase: 'measure', message: 'Measuring latency', fraction: shares.measure[0] });
    const measured = { ...session, signal: context.signal };
    const timing = await timeBoth(base, candidate, result, projection.layers, measured);
    const side = (totals: typeof projection.before, fileBytes: number, index: 0 | 1): BeforeAfter => ({
      ...totals,
      fileBytes,
      accuracy: accuracy?.[index] ?? null,
      latency: (index === 0 ? timing?.before : timing?.after) ?? null,
    });
    rmSync(checkpoint, { force: true });
    stages.remove();
    return {
      id,
      model: request.path,
      candidate,
      before: side(projection.before, base.facts.fileBytes, 0),
      after: side(projection.after, written.bytes, 1),
      layers: projection.layers,
      layerLatency: timing?.layers ?? [],
      speedup: timing?.speedup ?? null,
      speedupNote: timing?.note ?? null,
      verification: [...checks, ...verification],
      ...(report ? { training: report } : {}),
      ...(sparsity
        ? {
            sparsity: {
              ...sparsity,
              accuracy: { ...sparsity.accuracy, masked: sparsity.accuracy.masked ?? accuracy?.[1].accuracy ?? null },
            },
          }
        : {}),
      seconds: (performance.now() - started) / 1000,
      device,
      warnings: [
        projection.shortfall,
        ...(warnings ?? []),
        ...(projection.unmatched ?? []).map((glob) => `No layer matches '${glob}': that setting changed nothing.`),
        // What random weights give says nothing of preprocessing until they are trained.
        accuracy?.[training?.initial === 'random' ? 1 : 0].warning ?? null,
        training && accuracy && evaluation === inputs ? SEEN_IN_TRAINING : null,
        transfer && inputs?.facts.preprocessingSource === 'guessed' ? guessedFor(inputs) : null,
        ...(inputs?.facts.warnings ?? []),
      ].filter((w): w is string => w !== null),
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    if (evaluation !== inputs) await evaluation?.close();
    await inputs?.close();
  }
}

const SEEN_IN_TRAINING =
  'The accuracy was measured on the images that the model was trained on. Give other images for evaluation to know what it does on new ones.';

/** Labels of other classes can't tell what the model was trained with; confidence can't either: wrong scales raise it. */
const guessedFor = ({ facts }: Inputs): string =>
  `How the model wants its images was guessed: ${facts.summary}. If it was trained with another mean and std, give them in the recipe's data.preprocessing.`;

/** A small batch of real images, else a made-up input; null when the model's shapes are unknown. */
async function sampleFeeds(
  opened: OpenedModel,
  inputs: Inputs | null,
  settings: PruneSettings,
): Promise<Record<string, Tensor> | null> {
  if (!opened.shapes.inputs) return null;
  if (!inputs) return noiseInputs(opened.model.graph, opened.shapes.inputs, settings.seed);
  const fixed = typeof opened.facts.inputs[0]?.shape?.[0] === 'number' && opened.facts.inputs[0].shape[0] > 0;
  for await (const feeds of inputs.feeds({ count: fixed ? inputs.batch : 1, seed: settings.seed })) return { ...feeds };
  return null;
}

async function evaluateBoth(
  original: string,
  settings: PruneSettings,
  candidate: string,
  evaluation: Inputs | null,
  device: DeviceId,
  context: RequestContext,
): Promise<[AccuracyFacts, AccuracyFacts] | null> {
  if (!evaluation?.dataset.labelled) return null;
  const options = { limit: settings.data?.limit, device, threads: settings.threads };
  const before = await evaluateModel(
    original,
    evaluation,
    options,
    within(context, [0, 0.5]),
    'Evaluating the original',
  );
  const after = await evaluateModel(
    candidate,
    evaluation,
    options,
    within(context, [0.5, 1]),
    'Evaluating the candidate',
  );
  return [before, after];
}
