/** Whether a run can start. */
import type { SessionState } from '../src/protocol/view';
import { strings } from './strings';

/** Whether a plan of bases finds no layer to cut. */
export function hasNoBases({ facts, settings }: Pick<SessionState, 'facts' | 'settings'>): boolean {
  return settings?.method === 'basis' && facts !== null && facts.layers.every(({ reason }) => reason !== null);
}

/** Why a run can't start now; '' when it can. */
export function whyNotRun(state: SessionState): string {
  const { whyNot } = strings.run;
  if (!state.trusted) return whyNot.untrusted;
  if (state.facts === null || state.settings === null || state.loading === 'loading') return whyNot.loading;
  if (state.loading === 'shapes') return whyNot.shapes;
  if (state.facts.layers.length === 0) return whyNot.noLayers;
  return hasNoBases(state) ? whyNot.noBases : '';
}
