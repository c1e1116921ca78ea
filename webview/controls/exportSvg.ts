/**
 * A drawn chart as a file of its own: computed colours and fonts written into the elements, a background, the heading
 * and the legend above it. Nothing in it refers to the page.
 */
const svgNamespace = 'http://www.w3.org/2000/svg';

/** What the page's style sheets may have set on a chart's parts. */
const copiedProperties = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-opacity',
  'stroke-dasharray',
  'stroke-linecap',
  'opacity',
  'shape-rendering',
  'font-family',
  'font-size',
  'font-weight',
  'text-anchor',
] as const;

export interface LegendSwatch {
  readonly label: string;
  /** The swatch as drawn on the page, 14 × 10. */
  readonly swatch: SVGSVGElement;
}

export function exportSvg(chart: SVGSVGElement, heading: string, legend: readonly LegendSwatch[]): string {
  const width = chart.width.baseVal.value;
  const height = chart.height.baseVal.value;
  const style = getComputedStyle(chart);
  const padding = 16;
  const rows = placeLegend(legend, width);
  const top = 24 + rows.height;

  const out = document.createElementNS(svgNamespace, 'svg');
  out.setAttribute('xmlns', svgNamespace);
  const fullWidth = width + 2 * padding;
  const fullHeight = height + top + 2 * padding;
  set(out, { width: fullWidth, height: fullHeight, viewBox: `0 0 ${fullWidth} ${fullHeight}` });
  append(out, 'title', {}).textContent = heading;
  append(out, 'rect', { width: fullWidth, height: fullHeight, fill: backgroundBehind(chart) });
  const foreground = style.getPropertyValue('color');
  const font = { 'font-family': style.getPropertyValue('font-family'), fill: foreground };
  append(out, 'text', { x: padding, y: padding + 12, 'font-size': 13, 'font-weight': 600, ...font }).textContent =
    heading;
  for (const { label, swatch, x, y } of rows.items) {
    const group = append(out, 'g', { transform: `translate(${padding + x} ${padding + 22 + y})` });
    copyParts(swatch, group);
    append(group, 'text', { x: 20, y: 9, 'font-size': 11, ...font }).textContent = label;
  }
  copyParts(chart, append(out, 'g', { transform: `translate(${padding} ${padding + top})` }));
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(out)}\n`;
}

/** Legend entries left to right, wrapped; 7 pixels a letter is wide enough for 11 px text. */
function placeLegend(legend: readonly LegendSwatch[], width: number) {
  let x = 0;
  let y = 0;
  const items = legend.map((entry) => {
    const entryWidth = 34 + entry.label.length * 7;
    if (x > 0 && x + entryWidth > width) {
      x = 0;
      y += 16;
    }
    const placed = { ...entry, x, y };
    x += entryWidth;
    return placed;
  });
  return { items, height: legend.length === 0 ? 0 : y + 20 };
}

/** Copies what is drawn inside `from` into `to`, without scripts, classes and roles. */
function copyParts(from: Element, to: Element): void {
  for (const child of from.children) {
    if (child.tagName === 'title') {
      append(to, 'title', {}).textContent = child.textContent;
      continue;
    }
    const style = getComputedStyle(child);
    if (style.display === 'none') continue;
    const copy = document.createElementNS(svgNamespace, child.tagName);
    for (const { name, value } of child.attributes) {
      if (!/^(class|role|tabindex|id|aria-.*|data-.*)$/.test(name)) copy.setAttribute(name, value);
    }
    for (const property of copiedProperties) copy.setAttribute(property, style.getPropertyValue(property));
    if (child.tagName === 'text') copy.textContent = child.textContent;
    else copyParts(child, copy);
    to.append(copy);
  }
}

/** The first opaque background behind an element, looking out of shadow roots. */
function backgroundBehind(element: Element): string {
  for (let node: Node | null = element; node !== null; ) {
    if (node instanceof Element) {
      const color = getComputedStyle(node).backgroundColor;
      if (color !== 'transparent' && !/^rgba\(.*, 0\)$/.test(color)) return color;
    }
    node = node instanceof ShadowRoot ? node.host : ((node as Element).assignedSlot ?? node.parentNode);
  }
  return getComputedStyle(document.documentElement).getPropertyValue('--page').trim() || 'none';
}

function append(parent: Element, tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const child = document.createElementNS(svgNamespace, tag);
  set(child, attributes);
  parent.append(child);
  return child;
}

function set(element: Element, attributes: Readonly<Record<string, string | number>>): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
