/** A run's name for people, from what it was run with. */
import type { PruneSettings, PruneTarget } from '../../protocol/recipe';

/** "basis · 50 % MACs · 3 epochs"; training alone has no target. */
export function runTitle({ method, target, gsm, training }: PruneSettings): string {
  const epochs = training?.epochs ?? 0;
  const trained = epochs === 0 ? [] : [epochs === 1 ? '1 epoch' : `${epochs} epochs`];
  const size =
    method === 'gsm'
      ? [`${percent(gsm.keep)} of the weights`]
      : method === 'fine-tune'
        ? []
        : [targets[target.kind](target.value)];
  return [method, ...size, ...trained].join(' · ');
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const short = (value: number): number => Number(value.toPrecision(3));

const targets: Readonly<Record<PruneTarget['kind'], (value: number) => string>> = {
  macs: (share) => `${percent(share)} MACs`,
  params: (share) => `${percent(share)} parameters`,
  bytes: (value) => (value > 1 ? `${short(value / 2 ** 20)} MiB` : `${percent(value)} bytes`),
  latency: (share) => `${percent(share)} latency`,
  milliseconds: (value) => `${short(value)} ms`,
  drop: (points) => `${short(points)} points lost at most`,
};
