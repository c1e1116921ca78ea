/** A run's name for people, from what it was run with. */
import type { PruneSettings, PruneTarget } from '../../protocol/recipe';
import { resRepTraining } from '../../protocol/resrep';
import { hasTarget, trainsSparsely } from '../../settings/methods';

/** "basis · 50 % MACs · 3 epochs", "resrep · 50 % MACs · 12 + 30 epochs"; training alone has no target. */
export function runTitle(settings: PruneSettings): string {
  const { method, target, gsm } = settings;
  const weights = trainsSparsely(settings) ? `${percent(gsm.keep)} of the weights` : 'a ticket';
  const sparse = method === 'gsm' ? [weights] : [];
  const size = hasTarget(settings) ? [targets[target.kind](target.value)] : sparse;
  const epochs = epochsOf(settings).filter((count) => count > 0);
  const trained = epochs.length ? [`${epochs.join(' + ')} ${epochs.join() === '1' ? 'epoch' : 'epochs'}`] : [];
  return [method, ...size, ...trained].join(' · ');
}

/** Of the training, and of what goes on after a cut. */
function epochsOf(settings: PruneSettings): number[] {
  const { method, training, gsm, resrep } = settings;
  if (method === 'resrep') return [resRepTraining(resrep.schedule, training).epochs, resrep.epochsAfter];
  return [training?.epochs ?? 0, trainsSparsely(settings) ? gsm.epochsAfter : 0];
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const short = (value: number): number => Number(value.toPrecision(3));

const targets: Readonly<Record<PruneTarget['kind'], (value: number) => string>> = {
  macs: (share) => `${percent(share)} MACs`,
  params: (share) => `${percent(share)} parameters`,
  bytes: (value) => (value > 1 ? `${short(value / 1e6)} MB` : `${percent(value)} bytes`),
  latency: (share) => `${percent(share)} latency`,
  milliseconds: (value) => `${short(value)} ms`,
  drop: (points) => `${short(points)} points lost at most`,
};
