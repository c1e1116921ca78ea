/** A run's name for people, from what it was run with. */
import type { PruneSettings, PruneTarget } from '../../protocol/recipe';

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

/** "basis · 50 % MACs · 3 epochs" */
export function runTitle({ method, target, training }: PruneSettings): string {
  const epochs = training?.epochs ?? 0;
  const trained = epochs === 0 ? [] : [epochs === 1 ? '1 epoch' : `${epochs} epochs`];
  return [method, targetText(target), ...trained].join(' · ');
}

function targetText({ kind, value }: PruneTarget): string {
  if (kind === 'bytes' && value > 1) return `${Number((value / 2 ** 20).toPrecision(3))} MiB`;
  return `${percent(value)} ${{ macs: 'MACs', params: 'parameters', bytes: 'bytes' }[kind]}`;
}
