/** The settings' training: what it starts from, and which of its options mean something. */
import presets from '../schemas/presets.json';
import type { Preset } from '../src/protocol/presets';
import type { PruneSettings, TrainingSettings } from '../src/protocol/recipe';
import { hasRounds } from '../src/settings/rounds';
import { lossOf, usesLabels, usesOptimizer } from '../src/settings/training';
import { trainingSchema } from './methods';
import { optionFields, standardValues } from './options';

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

/** What a new classifier's training takes from this one, by dotted path; the rest it has of its own. */
const ofNewClassifier: readonly string[] = [
  'labelSmoothing',
  ...['images', 'batch', 'schedule', 'milestones', 'warmup', 'clip'],
  ...['optimizer', 'momentum', 'nesterov', 'weightDecay'],
  ...['augment.crop', 'augment.flip'],
];
const all = optionFields(trainingSchema).map(({ path }) => path.join('.'));

/** Options that change nothing, given the others, by dotted path. */
export function withoutMeaning(settings: PruneSettings): ReadonlySet<string> {
  const { method, transfer } = settings;
  const training = trainingOf(settings);
  const trained = { ...settings, training };
  const loss = lossOf(trained);
  const isOptimized = usesOptimizer(settings);
  // ResRep trains all but its compactors with SGD.
  const isSgd = method === 'resrep' || (isOptimized && training.optimizer === 'sgd');
  const used = transfer === undefined ? ['epochs'] : ['epochs', ...ofNewClassifier];
  return new Set([
    ...(training.epochs > 0 ? [] : all.filter((path) => !used.includes(path))),
    ...(loss === 'distill' ? [] : ['temperature']),
    ...(loss === 'labels' ? ['labelShare'] : []),
    ...(usesLabels(trained) || transfer !== undefined ? [] : ['labelSmoothing']),
    ...(training.features > 0 ? [] : ['featureLayers']),
    ...(isOptimized ? [] : ['optimizer']),
    ...(isSgd ? [] : ['momentum', 'nesterov']),
    ...(isOptimized || method === 'resrep' ? [] : ['weightDecay']),
    ...(hasRounds(settings) ? [] : ['rounds']),
    ...(training.schedule === 'step' ? [] : ['milestones']),
    // One that is on, and so an error, has to be there to be switched off.
    ...(usesLabels(trained) && !training.augment.mix ? ['augment.mix'] : []),
  ]);
}
