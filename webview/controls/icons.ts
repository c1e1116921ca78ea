/** Small line icons, 16 × 16, drawn in the text's colour. Always beside a text or inside a labelled button. */
import { html, type TemplateResult } from 'lit';

const icon = (d: string): TemplateResult =>
  html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${d}></path></svg>`;

export const icons = {
  close: icon('M4 4l8 8M12 4l-8 8'),
  lock: icon('M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5'),
  unlock: icon('M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 4.8-1'),
  reset: icon('M3 8a5 5 0 1 0 1.6-3.7M3 2.5V5h2.5'),
  undo: icon('M3 6h6.5a3.5 3.5 0 0 1 0 7H6M3 6l3-3M3 6l3 3'),
  redo: icon('M13 6H6.5a3.5 3.5 0 0 0 0 7H10M13 6l-3-3M13 6l-3 3'),
  check: icon('M3 8.5l3.2 3.5L13 4.5'),
  cross: icon('M4 4l8 8M12 4l-8 8'),
  warning: icon('M8 2.5l6 11H2zM8 6.5v3.5M8 11.8v.2'),
  info: icon('M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 7v4M8 5v.2'),
  open: icon('M4 6l4 4 4-4'),
  folded: icon('M6 4l4 4-4 4'),
  up: icon('M8 12.5v-9M4.5 7L8 3.5 11.5 7'),
  down: icon('M8 3.5v9M4.5 9L8 12.5 11.5 9'),
} as const;
