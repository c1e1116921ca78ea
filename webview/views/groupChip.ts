/** A group of coupled channels as a chip: a number and a mark that differ without colour, and the name of the group. */
import { css, html, nothing, svg, type TemplateResult } from 'lit';
import { markKinds, markPath } from '../charts/marks';
import { type GroupRow, othersOf } from '../groups';
import { strings } from '../strings';

export const groupChipStyles = css`
  .chip {
    display: inline-flex;
    gap: 4px;
    align-items: center;
    max-width: 100%;
    padding: 0 6px 0 4px;
    border: 1px solid var(--line);
    border-radius: 9px;
    line-height: 16px;
    vertical-align: middle;
  }
  .chip > svg {
    flex: none;
  }
  /* Names differ at their end: the start gives way. */
  .chipName {
    direction: rtl;
  }
  .chip > svg path {
    stroke: var(--page);
    stroke-width: 0.5;
  }
`;

/** The mark alone: six shapes in six colours, so that neighbours differ in both. */
export function groupMark({ index }: GroupRow): TemplateResult {
  const kind = index % markKinds;
  return html`<svg class="chart" width="12" height="12" aria-hidden="true">${svg`<path class=${`mark-${kind}`} d=${markPath(kind, 6, 6, 4)}></path>`}</svg>`;
}

/** @param layer whose chip it is: the name stands in the chips of the others, how many there are in all */
export function groupChip(group: GroupRow, layer: string): TemplateResult {
  const { name } = group.projection;
  const others = othersOf(group, layer);
  return html`<span class="chip" title=${strings.groups.chipTitle(name, others)}>${groupMark(group)}<b>${group.index + 1}</b>
    ${name === layer ? nothing : html`<span class="chipName ellipsis" aria-hidden="true"><bdi>${name}</bdi></span>`}<span class="visually-hidden">${strings.groups.chipText(name, others.length)}</span></span>`;
}
