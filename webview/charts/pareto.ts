/**
 * Runs of one model against each other.
 *
 * x: multiply-accumulates left, as a share of the original's, from 0. y: accuracy, 0 to 1, as much of it as there is.
 * Each run is a mark of its method; the step line is the best accuracy found at that cost or less. The cross is the
 * original. Marks are buttons: one of them is in the tab order, arrow keys go to its neighbours.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { percent, unknown } from '../format';
import { strings } from '../strings';
import { markKinds, markPath } from './marks';
import { type Area, linearScale, linearTicks, plotArea, points as polyline, px } from './scale';

export interface ParetoPoint {
  readonly id: string;
  readonly title: string;
  /** Index of its method. */
  readonly kind: number;
  /** What is left of the multiply-accumulates, as a share. */
  readonly cost: number;
  readonly accuracy: number;
  /** More about it, shown with the title. */
  readonly text: string;
}

export interface ParetoProps {
  readonly width: number;
  readonly height: number;
  readonly points: readonly ParetoPoint[];
  /** Accuracy of the original; null when it is not known. */
  readonly original: number | null;
  /** The run that the editor shows. */
  readonly current: string | null;
  /** The run pointed at or focused: its title is shown. */
  readonly active: string | null;
  readonly onOpen: (id: string) => void;
  readonly onActive: (id: string | null) => void;
  readonly onKey: (event: KeyboardEvent, id: string) => void;
}

const radius = 6;

/** The points that no other beats at its cost or less, cheapest first. */
export function paretoFront<T extends { readonly cost: number; readonly accuracy: number }>(points: readonly T[]): T[] {
  const front: T[] = [];
  for (const point of [...points].sort((a, b) => a.cost - b.cost || b.accuracy - a.accuracy)) {
    if (front.length === 0 || point.accuracy > front[front.length - 1].accuracy) front.push(point);
  }
  return front;
}

export function paretoChart(props: ParetoProps): SVGTemplateResult {
  const { points, original, active, width, height } = props;
  const area = plotArea(props, { left: 58, right: 16, top: 22, bottom: 40 });
  const [low, high] = accuracyRange(points, original);
  const most = points.reduce((largest, { cost }) => Math.max(largest, cost), 1);
  const x = linearScale([0, most * 1.02], [area.left, area.right]);
  const y = linearScale([low, high], [area.bottom, area.top]);
  const reference = original === null ? [] : [{ cost: 1, accuracy: original }];
  const front = paretoFront([...points, ...reference]);
  const steps = front.flatMap(({ cost, accuracy }, i): [number, number][] => [
    ...(i === 0 ? [] : [[x(cost), y(front[i - 1].accuracy)] as [number, number]]),
    [x(cost), y(accuracy)],
  ]);
  const last = front.at(-1);
  if (last !== undefined) steps.push([area.right, y(last.accuracy)]);
  const shown = points.find(({ id }) => id === active);
  const reachable = shown ?? points.find(({ id }) => id === props.current) ?? points[0];
  return svg`
    ${linearTicks(low, high, Math.max(2, Math.floor((area.bottom - area.top) / 40))).map(
      (tick) => svg`<line class="grid" x1=${area.left} x2=${px(area.right)} y1=${px(y(tick))} y2=${px(y(tick))}></line>
        <text class="end" x=${area.left - 6} y=${px(y(tick) + 4)}>${percent(tick)}</text>`,
    )}
    ${linearTicks(0, most, Math.max(2, Math.floor((area.right - area.left) / 80))).map(
      (tick) => svg`<line class="grid" x1=${px(x(tick))} x2=${px(x(tick))} y1=${area.top} y2=${area.bottom}></line>
        <text class="middle" x=${px(x(tick))} y=${area.bottom + 15}>${`${Math.round(tick * 100)} %`}</text>`,
    )}
    <line class="axis" x1=${area.left} x2=${px(area.right)} y1=${area.bottom} y2=${area.bottom}></line>
    <text x="0" y="11">${strings.runs.accuracy}</text>
    <text class="middle" x=${px((area.left + area.right) / 2)} y=${height - 6}>${strings.runs.cost}</text>
    <polyline class="front" points=${polyline(steps)}></polyline>
    ${points.map((point) => mark(props, point, x(point.cost), y(point.accuracy), point === reachable))}
    ${
      original === null
        ? nothing
        : svg`<path class="original-edge" d=${cross(x(1), y(original))}></path>
            <path class="original" d=${cross(x(1), y(original))}></path>`
    }
    ${shown === undefined ? nothing : callout(shown, x(shown.cost), y(shown.accuracy), area, width)}`;
}

/** All accuracies with some room around them, on round figures within 0 to 1. */
function accuracyRange(points: readonly ParetoPoint[], original: number | null): [number, number] {
  const all = [...points.map(({ accuracy }) => accuracy), ...(original === null ? [] : [original])];
  const low = Math.min(...all, 1);
  const high = Math.max(...all, 0);
  const room = Math.max(0.01, (high - low) * 0.12);
  return all.length === 0 ? [0, 1] : [Math.max(0, low - room), Math.min(1, high + room)];
}

const cross = (x: number, y: number) =>
  `M${px(x - radius)} ${px(y - radius)}L${px(x + radius)} ${px(y + radius)}M${px(x + radius)} ${px(y - radius)}L${px(x - radius)} ${px(y + radius)}`;

function mark(props: ParetoProps, point: ParetoPoint, x: number, y: number, isReachable: boolean): SVGTemplateResult {
  const { id, kind, title, text } = point;
  const isCurrent = id === props.current;
  const open = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' && event.key !== ' ') return props.onKey(event, id);
    event.preventDefault();
    props.onOpen(id);
  };
  return svg`
    <g class="mark" role="button" tabindex=${isReachable ? '0' : '-1'} aria-label=${strings.runs.openLabel(title, text)} data-run=${id}
      @click=${() => props.onOpen(id)} @keydown=${open} @focus=${() => props.onActive(id)} @blur=${() => props.onActive(null)}
      @pointerenter=${() => props.onActive(id)} @pointerleave=${() => props.onActive(null)}>
      <circle class="hit" cx=${px(x)} cy=${px(y)} r=${radius * 2}></circle>
      ${isCurrent ? svg`<circle class="current" cx=${px(x)} cy=${px(y)} r=${radius * 1.8}></circle>` : nothing}
      <path class=${`mark-${kind % markKinds}`} d=${markPath(kind, x, y, radius)}></path>
    </g>`;
}

function callout({ title, text }: ParetoPoint, x: number, y: number, area: Area, width: number): SVGTemplateResult {
  // 6.6 pixels a letter are enough for 11 px text.
  const wide = Math.min(width, Math.max(title.length, text.length) * 6.6 + 16);
  const left = Math.min(width - wide, Math.max(0, x + wide + 14 < area.right ? x + 12 : x - wide - 12));
  const top = y - 50 > 0 ? y - 48 : y + 12;
  return svg`
    <g class="callout">
      <rect x=${px(left)} y=${px(top)} width=${px(wide)} height="38" rx="2"></rect>
      <text class="strong" x=${px(left + 8)} y=${px(top + 15)}>${title}</text>
      <text x=${px(left + 8)} y=${px(top + 30)}>${text || unknown}</text>
    </g>`;
}
