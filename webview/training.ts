/** The settings' training: what it starts from, and which of its options mean something. */
import presets from '../schemas/presets.json';
import type { Preset } from '../src/protocol/presets';
import type { PruneSettings, TrainingSettings } from '../src/protocol/recipe';
import { hasRounds } from '../src/settings/rounds';
import { trainingSchema } from './methods';
import { standardValues } from './options';

/** The settings' training as a run takes it, or what it starts from when the recipe has none. */
export function trainingOf(settings: PruneSettings): TrainingSettings {
  const { method, training, resrep } = settings;
  if (method !== 'resrep' || (training && training.epochs > 0)) return training ?? standard();
  // It is a training: without epochs of its own it has those of its schedule.
  const ofSchedule = schedules.find(({ settings: preset }) => preset.resrep?.schedule === resrep.schedule);
  const words = ofSchedule?.settings.training as TrainingSettings;
  return training ? { ...training, epochs: words.epochs } : { ...standard(), ...words };
}

const schedules = (presets as unknown as readonly Preset[]).filter(({ settings }) => settings.method === 'resrep');
const standard = () => standardValues(trainingSchema) as TrainingSettings;

const allButEpochs = Object.keys(trainingSchema.properties).filter((key) => key !== 'epochs');
const ofAugment = Object.keys(trainingSchema.properties.augment?.properties ?? {}).map((key) => `augment.${key}`);

/** Options that change nothing, given the others. */
export function withoutMeaning(
  { epochs, loss, labelShare, features, optimizer, schedule }: TrainingSettings,
  method: PruneSettings['method'],
): ReadonlySet<string> {
  if (epochs === 0) return new Set([...allButEpochs, ...ofAugment]);
  // These have optimizers of their own; the one also learns from labels by itself.
  const isSparse = method === 'gsm';
  const isCompacting = method === 'resrep';
  const distils = (loss === 'auto' && !isSparse) || loss === 'distill';
  const isSgd = isCompacting || (optimizer === 'sgd' && !isSparse);
  return new Set([
    ...(distils ? [] : ['temperature']),
    ...(loss === 'labels' ? ['labelShare'] : []),
    ...(loss === 'labels' || labelShare > 0 ? [] : ['labelSmoothing']),
    ...(features > 0 ? [] : ['featureLayers']),
    ...(isSgd ? [] : ['momentum', 'nesterov']),
    ...(isSparse ? ['optimizer', 'weightDecay'] : []),
    ...(isCompacting ? ['optimizer'] : []),
    ...(hasRounds({ method }) ? [] : ['rounds']),
    ...(schedule === 'step' ? [] : ['milestones']),
  ]);
}
