/** What each group of channels bears: measured on request, shown as a heat map. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { Sensitivity } from '../../src/protocol/plan';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-progress-bar/index.js';
import { heatLevels } from '../charts/heatMap';
import { largestDamage, sensitivityChart, sensitivityHeight } from '../charts/sensitivity';
import type { DataTable } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { progressPercent, real } from '../format';
import type { LayerRow } from '../layers';
import type { Session } from '../session';
import { strings } from '../strings';
import { errorNotice } from './notices';

export const sensitivityStyles = css`
  .measure {
    display: grid;
    gap: 8px;
    justify-items: start;
    max-width: 620px;
    padding: 8px 0;
  }
  .measure .under-way {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 4px 12px;
    justify-self: stretch;
    align-items: center;
  }
  .measure vscode-progress-bar {
    grid-column: 1 / -1;
  }
`;

/** Damage as people read it, in the unit it was measured in. */
export function damageText(damage: number, unit: Sensitivity['unit']): string {
  return unit === 'accuracy' ? strings.sensitivity.points(damage.toFixed(1)) : real(damage);
}

/** @param tools what stands above the chart */
export function sensitivityMap(session: Session, rows: readonly LayerRow[], tools: TemplateResult): TemplateResult {
  const { sensitivity } = session.state;
  return sensitivity.kind === 'known'
    ? chart(session, rows, sensitivity.sensitivity, tools)
    : html`${tools}${measure(session)}`;
}

function measure(session: Session): TemplateResult {
  const text = strings.sensitivity;
  const { sensitivity, settings, trusted, run } = session.state;
  if (sensitivity.kind === 'measuring') {
    const { message, fraction } = sensitivity.progress;
    return html`<div class="measure"><div class="under-way">
        <span class="ellipsis" role="status" title=${message}>${message}</span>
        <span class="dim number">${fraction === null ? '' : progressPercent(fraction)}</span>
        <vscode-progress-bar aria-label=${text.progress} .value=${fraction === null ? undefined : fraction * 100} ?indeterminate=${fraction === null}></vscode-progress-bar>
      </div>
      <vscode-button secondary @click=${() => session.act('cancelSensitivity', {})}>${strings.run.cancel}</vscode-button></div>`;
  }
  const whyNot = !trusted
    ? strings.run.whyNot.untrusted
    : settings?.data === undefined
      ? text.needsData
      : run.kind === 'running'
        ? text.running
        : '';
  return html`<div class="measure">
    <p>${text.intro}</p>
    ${sensitivity.kind === 'failed' ? errorNotice(sensitivity.error, null) : nothing}
    <vscode-button secondary ?disabled=${whyNot !== ''} title=${whyNot} @click=${() => session.act('measureSensitivity', {})}>${sensitivity.kind === 'failed' ? strings.detail.retry : text.measure}</vscode-button>
    ${whyNot === '' ? nothing : html`<p class="dim small">${whyNot}</p>`}
  </div>`;
}

function chart(session: Session, rows: readonly LayerRow[], sensitivity: Sensitivity, tools: TemplateResult) {
  const text = strings.sensitivity;
  const { unit, groups, ratios, images } = sensitivity;
  const { selectedLayer } = session.state;
  const selected = rows.find(({ facts }) => facts.name === selectedLayer)?.group?.projection.name ?? null;
  const pick = (group: string) => {
    const member = rows.find((row) => row.group?.projection.name === group);
    if (member !== undefined) session.select(member.facts.name);
  };
  const draw = (size: ChartSize) =>
    sensitivityChart({
      ...size,
      sensitivity,
      selected,
      format: (damage) => (unit === 'accuracy' ? damage.toFixed(1) : real(damage)),
      onPick: pick,
    });
  return html`<espalier-figure .heading=${text.heading} .headingHidden=${true} .name=${'sensitivity'}
    .description=${text.description(groups.length, ratios.map(progressPercent))} .legend=${legend(sensitivity)}
    .heightFor=${() => sensitivityHeight(sensitivity)} .draw=${draw} .note=${() => text.note[unit](images)}
    .table=${() => sensitivityTable(sensitivity)}>${tools}</espalier-figure>`;
}

function legend(sensitivity: Sensitivity): readonly LegendItem[] {
  const largest = largestDamage(sensitivity);
  return [0, heatLevels - 1].map((level) => ({
    label: damageText(level === 0 ? 0 : largest, sensitivity.unit),
    part: `heat-${level}`,
    kind: 'area',
  }));
}

export function sensitivityTable({ groups, ratios, unit }: Sensitivity): DataTable {
  const text = strings.sensitivity;
  return {
    caption: text.heading,
    columns: [
      { label: text.group },
      ...ratios.map((ratio) => ({
        label: text.without(progressPercent(ratio)),
        format: (value: number) => damageText(value, unit),
      })),
    ],
    rows: groups.map(({ name, damage }) => [name, ...damage]),
  };
}
