/** The cut on the spectrum: a vertical line that is dragged, or moved by keys (WAI-ARIA slider). */
import { type SVGTemplateResult, svg } from 'lit';
import { type Area, px } from '../charts/scale';
import { cutPosition } from '../charts/spectrum';
import { strings } from '../strings';

export interface CutHandleProps {
  /** Plot area of the chart below. */
  readonly area: Area;
  readonly full: number;
  readonly rank: number;
  readonly label: string;
  /** The value in words. */
  readonly text: string;
  /** x in pixels of the chart; transient until the pointer is released. */
  readonly onMove: (x: number, transient: boolean) => void;
  readonly onKey: (event: KeyboardEvent) => void;
  readonly onKeyEnd: () => void;
  /** x under the pointer, null when it left. */
  readonly onHover: (x: number | null) => void;
}

/** The rank a key asks for: arrows one step, Page keys a tenth, Home 1, End all; null for other keys. */
export function keyedRank(event: Pick<KeyboardEvent, 'key'>, rank: number, full: number): number | null {
  const page = Math.max(2, Math.round(full / 10));
  const next: Readonly<Record<string, number>> = {
    ArrowLeft: rank - 1,
    ArrowDown: rank - 1,
    ArrowRight: rank + 1,
    ArrowUp: rank + 1,
    PageDown: rank - page,
    PageUp: rank + page,
    Home: 1,
    End: full,
  };
  const wanted = next[event.key];
  return wanted === undefined ? null : Math.min(full, Math.max(1, wanted));
}

export function cutHandle(props: CutHandleProps): SVGTemplateResult {
  const { area, full, rank } = props;
  const x = cutPosition(area, full, rank);
  const tag = strings.detail.rankTag(rank);
  const tagWidth = tag.length * 6.4 + 12;
  const tagX = Math.min(area.right + 36 - tagWidth, Math.max(2, x - tagWidth / 2));
  const at = (event: PointerEvent) => {
    const chart = (event.currentTarget as SVGElement).ownerSVGElement as SVGSVGElement;
    return event.clientX - chart.getBoundingClientRect().left;
  };
  const dragging = (event: PointerEvent) => (event.currentTarget as Element).hasPointerCapture(event.pointerId);
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const target = event.currentTarget as SVGElement;
    target.setPointerCapture(event.pointerId);
    target.focus();
    // Keeps the page from selecting text; the focus was set by hand.
    event.preventDefault();
    props.onMove(at(event), true);
  };
  const move = (event: PointerEvent) => (dragging(event) ? props.onMove(at(event), true) : props.onHover(at(event)));
  const up = (event: PointerEvent) => {
    if (dragging(event)) props.onMove(at(event), false);
  };
  return svg`
    <g class="handle" role="slider" tabindex="0" aria-label=${props.label} aria-orientation="horizontal"
      aria-valuemin="1" aria-valuemax=${full} aria-valuenow=${rank} aria-valuetext=${props.text}
      @pointerdown=${down} @pointermove=${move} @pointerup=${up} @pointercancel=${props.onKeyEnd}
      @pointerleave=${() => props.onHover(null)} @keydown=${props.onKey} @keyup=${props.onKeyEnd} @blur=${props.onKeyEnd}>
      <rect class="hit" x=${area.left} y=${area.top} width=${px(area.right - area.left)}
        height=${px(area.bottom - area.top + 26)}></rect>
      <line x1=${px(x)} x2=${px(x)} y1=${area.top - 6} y2=${area.bottom + 4}></line>
      <rect class="grip" x=${px(tagX)} y=${area.bottom + 4} width=${px(tagWidth)} height="18" rx="2"></rect>
      <text class="middle" x=${px(tagX + tagWidth / 2)} y=${area.bottom + 17}>${tag}</text>
    </g>`;
}
