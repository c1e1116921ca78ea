/** The figures in the header: what the model is now and what it will be after the current plan. */
import type { RunResult } from '../src/protocol/plan';
import type { RunState, SessionState } from '../src/protocol/view';
import { identity } from '../src/settings/identity';
import { bytes, change, count, exact, factor, milliseconds, percent, points, unknown } from './format';
import { strings } from './strings';

export interface Tile {
  readonly id: 'macs' | 'flops' | 'params' | 'bytes' | 'file' | 'latency' | 'accuracy';
  readonly label: string;
  /** For narrow places. */
  readonly short: string;
  readonly before: string;
  /** null while nothing is planned. */
  readonly after: string | null;
  /** after ÷ before, 0 to 1, for the bar; null for no bar. */
  readonly share: number | null;
  /** "−46.2 %", or what there is to say instead. */
  readonly note: string;
  /** Every digit, or where the figure comes from. */
  readonly title: string;
  /** Set while the figure is being found. */
  readonly pending: boolean;
}

/**
 * Whether a run carried out exactly the plan that is shown now. Where only the run decides what goes, the shown plan is
 * another one by itself, so that what was asked for counts.
 */
export function isCurrentPlan(
  { result, settings: asked }: Extract<RunState, { kind: 'done' }>,
  { projection, settings }: Pick<SessionState, 'projection' | 'settings'>,
): boolean {
  if (projection === null) return false;
  if (projection.assumed !== undefined) return settings !== null && identity(asked) === identity(settings);
  const ranks = new Map(result.layers.map((layer) => [layer.layer, layer]));
  return projection.layers.every((layer) => {
    const done = ranks.get(layer.layer);
    return (
      done !== undefined && done.rank === layer.rank && done.action === layer.action && done.channels === layer.channels
    );
  });
}

export function tiles(state: SessionState): readonly Tile[] {
  const { facts, projection, run } = state;
  if (facts === null) return [];
  const result = run.kind === 'done' ? run.result : null;
  const found = run.kind === 'done' && isCurrentPlan(run, state) ? run.result : null;
  const before = facts.totals;
  const after = found?.after ?? projection?.after ?? null;
  const finding = state.loading !== 'ready' && before.macs === null;

  const amount = (
    id: Tile['id'],
    label: string,
    now: number | null,
    then: number | null,
    show: (value: number | null) => string,
    pending = false,
  ): Tile => ({
    id,
    label,
    short: label,
    before: pending ? strings.loading.shapes : now === null ? strings.tiles.unknownMacs : show(now),
    after: then === null ? null : show(then),
    share: now === null || then === null || now === 0 ? null : Math.min(1, then / now),
    note: then === null ? '' : change(now, then),
    title: now === null ? '' : then === null ? exact(now) : `${exact(now)} → ${exact(then)}`,
    pending,
  });

  return [
    amount('macs', strings.tiles.macs, before.macs, after?.macs ?? null, count, finding),
    amount('flops', strings.tiles.flops, twice(before.macs), twice(after?.macs ?? null), count, finding),
    amount('params', strings.tiles.params, before.params, after?.params ?? null, count),
    amount('bytes', strings.tiles.bytes, before.bytes, after?.bytes ?? null, bytes),
    fileTile(amount, state, found),
    ...(result === null ? [] : measuredTiles(result, found ? '' : ` · ${strings.tiles.earlierPlan}`)),
  ];
}

const twice = (value: number | null) => (value === null ? null : 2 * value);

function fileTile(
  amount: (id: Tile['id'], label: string, now: number, then: number | null, show: typeof bytes) => Tile,
  { facts, projection }: SessionState,
  result: RunResult | null,
): Tile {
  const now = facts?.fileBytes ?? 0;
  if (result !== null) return amount('file', strings.tiles.file, now, result.after.fileBytes, bytes);
  // Weights that the model computes, or stores packed, do not take their bytes in the file.
  const storesWeights = projection !== null && projection.before.bytes <= now;
  const then = storesWeights ? now - (projection.before.bytes - projection.after.bytes) : null;
  const tile = amount('file', strings.tiles.file, now, then, bytes);
  if (then === null || then === now) return tile;
  return { ...tile, after: `≈ ${tile.after}`, title: strings.tiles.estimatedFile };
}

function measuredTiles(result: RunResult, origin: string): Tile[] {
  const { before, after } = result;
  const found: Tile[] = [];
  if (before.latency !== null && after.latency !== null) {
    const now = before.latency.median;
    const then = after.latency.median;
    found.push({
      id: 'latency',
      label: strings.tiles.latency,
      short: strings.tiles.shortLatency,
      before: milliseconds(now),
      after: milliseconds(then),
      share: Math.min(1, then / now),
      note: `${change(now, then)}${result.speedup === null ? '' : ` · ${strings.tiles.faster(factor(result.speedup))}`}${origin}`,
      title: strings.tiles.lastRun,
      pending: false,
    });
  }
  const accuracyNow = before.accuracy?.accuracy ?? null;
  const accuracyThen = after.accuracy?.accuracy ?? null;
  if (accuracyThen !== null) {
    found.push({
      id: 'accuracy',
      label: strings.tiles.accuracy(after.accuracy?.images ?? null),
      short: strings.tiles.shortAccuracy,
      before: accuracyNow === null ? unknown : percent(accuracyNow),
      after: percent(accuracyThen),
      share: accuracyThen,
      note: `${accuracyNow === null ? '' : points(accuracyNow, accuracyThen)}${origin}`,
      title: strings.tiles.lastRun,
      pending: false,
    });
  }
  return found;
}
