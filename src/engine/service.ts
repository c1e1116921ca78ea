/**
 * The engine's methods: a thin layer that opens models, keeps what is expensive, and calls the rooms that do the work.
 * Worker threads and the command line use the same service.
 */
import * as os from 'node:os';
import { spectrumOf } from '../analysis/spectrum';
import { dataNeeded, layerUnknown } from '../errors';
import type { Spectrum } from '../protocol/facts';
import type { GroupDetail, LayerDetail, Sensitivity } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { EngineHandlers } from '../protocol/rpc';
import { PauseGate } from '../train/loop';
import { bases } from './calibration';
import { channels } from './channelKnowledge';
import { compareModels } from './compare';
import { deviceOf, devices, onDevice } from './devices';
import { evaluateFile } from './evaluate';
import { datasetAlone, openInputs } from './inputs';
import { Learned, type News } from './learned';
import { type OpenedModel, OpenModels } from './models';
import { type AnyPlan, type KnownOfImages, planFor } from './planning';
import { runPrune } from './run';
import { saveRun } from './save';
import type { RunTools } from './scene';
import { isAboutTheWeight, SingularValues, type WeightEnergies } from './singularValues';
import { createSpectraPool } from './spectra/pool';
import { trainingTime } from './trainingTime';

export interface ServiceOptions {
  /** Bundle of the spectra worker; null computes in this thread. */
  readonly spectraWorker: string | null;
  /** Called when something was found out from images, so that another thread's service can adopt it. */
  readonly tell?: (news: News) => void;
}

export interface Service {
  readonly handlers: EngineHandlers;
  /** Takes over what another thread's service has found out. */
  adopt(news: News): void;
  dispose(): Promise<void>;
}

export function createService({ spectraWorker, tell = () => undefined }: ServiceOptions): Service {
  const models = new OpenModels();
  const pool = createSpectraPool(spectraWorker ? os.availableParallelism() : 0, spectraWorker ?? '');
  const values = new SingularValues(pool);
  const calibrations = new Learned(bases, models, tell);
  const knowledge = new Learned(channels, models, tell);
  /** Of the run that is going on, or was last. */
  let gate: PauseGate | null = null;

  const energiesOfWeights = (opened: OpenedModel, settings: PruneSettings): Promise<WeightEnergies> =>
    values.energies(opened, settings.basis.foldBatchNorm);

  const known: KnownOfImages = {
    calibration: (opened, settings, folder) =>
      settings.basis.basis === 'weights' ? null : calibrations.known(opened, settings, folder),
    channels: (...asked) => knowledge.known(...asked),
    weightEnergies: energiesOfWeights,
  };
  const plan = async (modelPath: string, settings: PruneSettings, folder: string): Promise<AnyPlan> =>
    planFor(await models.withShapes(modelPath, settings.shapes), settings, folder, known);

  /** null for a layer whose weight is no matrix of finite numbers: its reason says so. */
  const spectrum = async (opened: OpenedModel, name: string): Promise<Spectrum | null> => {
    const layer = opened.layers.find((l) => l.name === name);
    if (!layer) throw layerUnknown({ layer: name, path: opened.model.path });
    if (!layer.matrices) return null;
    const { blocks, rows, cols } = layer.matrices;
    try {
      return spectrumOf(name, await values.of(opened, layer, { interactive: true }), blocks, rows, cols);
    } catch (error) {
      if (isAboutTheWeight(error)) return null;
      throw error;
    }
  };

  const handlers: EngineHandlers = {
    open: async ({ path: file }) => models.get(file).facts,
    shapes: async ({ path: file, shapes }) => (await models.withShapes(file, shapes)).facts,
    async spectra({ path: file, layers }) {
      const opened = models.get(file);
      const found = await Promise.all(layers.map((name) => spectrum(opened, name)));
      return found.filter((s) => s !== null);
    },
    project: async ({ path: file, settings, folder }) => (await plan(file, settings, folder)).projection,
    async detail({ path: file, layer, settings, folder }): Promise<LayerDetail> {
      const found = (await plan(file, settings, folder)).details.get(layer);
      return (
        found ?? {
          layer,
          basis: 'weights',
          importance: new Float64Array(0),
          threshold: null,
          energy: new Float64Array(0),
        }
      );
    },
    async group({ path: file, group, settings, folder }): Promise<GroupDetail> {
      const found = (await plan(file, settings, folder)).groupDetails.get(group);
      return found ?? { group, criterion: null, importance: new Float64Array(0), kept: new Uint8Array(0) };
    },
    async sensitivity({ path: file, settings, folder }, context) {
      if (!settings.data) throw dataNeeded({ what: 'sensitivity' });
      const { result } = await onDevice(settings.device, (device) => {
        const channel = { ...settings.channel, allocation: 'sensitivity' as const };
        return knowledge.learn({ path: file, settings: { ...settings, channel, device }, folder }, context);
      });
      return result.sensitivity as Sensitivity;
    },
    async calibrate({ path: file, settings, folder }, context) {
      const { result } = await onDevice(settings.device, async (device) => {
        const request = { path: file, settings: { ...settings, device }, folder };
        const { method } = settings;
        if (method !== 'channel' && method !== 'double') return calibrations.learn(request, context);
        // The bases of a double pruning are those of a model that is not there yet.
        await knowledge.learn(request, context);
        return null;
      });
      return { images: result?.images ?? 0 };
    },
    async dataset({ path: data, model, preprocessing }, { signal }) {
      const opened = model ? models.get(model) : null;
      if (!opened) return datasetAlone(data, preprocessing);
      const inputs = await openInputs(opened, data, { preprocessing, signal });
      await inputs.close();
      return inputs.facts;
    },
    devices: () => devices(),
    evaluate: (request, context) => evaluateFile(models, request, context),
    async pause({ paused }) {
      if (paused) gate?.pause();
      else gate?.resume();
    },
    async run(request, context) {
      // Before anything is awaited: a pause may follow at once.
      const pause = new PauseGate();
      gate = pause;
      const tools: RunTools = {
        models,
        calibration: (...asked) => calibrations.learn(...asked),
        channelKnowledge: (...asked) => knowledge.learn(...asked),
        weightEnergies: energiesOfWeights,
        pause,
      };
      const { result, warnings } = await onDevice(request.settings.device, (device) =>
        runPrune({ ...request, settings: { ...request.settings, device } }, tools, context),
      );
      return { ...result, warnings: [...warnings, ...result.warnings] };
    },
    async trainingTime({ path: file, settings, folder }, context) {
      const opened = await models.withShapes(file, settings.shapes);
      const session = { device: await deviceOf(settings.device), threads: settings.threads };
      const planned = await plan(file, settings, folder);
      return trainingTime({ opened, planned, settings, folder, session }, context);
    },
    save: (request) => saveRun(request),
    compare: (request, context) => compareModels(models, request, context),
  };

  return {
    handlers,
    adopt(news) {
      for (const learned of [calibrations, knowledge]) learned.adopt(news);
    },
    async dispose() {
      models.closeAll();
      await pool.dispose();
    },
  };
}
