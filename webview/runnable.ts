/** Whether a run can start. */
import type { SessionState } from '../src/protocol/view';
import { strings } from './strings';

/** Why a run can't start now; '' when it can. */
export function whyNotRun(state: SessionState): string {
  const { whyNot } = strings.run;
  if (!state.trusted) return whyNot.untrusted;
  if (state.facts === null || state.settings === null || state.loading === 'loading') return whyNot.loading;
  if (state.loading === 'shapes') return whyNot.shapes;
  if (state.facts.layers.every((layer) => layer.reason !== null)) return whyNot.nothing;
  return '';
}
