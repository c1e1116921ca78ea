/**
 * Writes out what a chart's template would draw, without a browser: for golden files. Knows what the charts use:
 * nested templates, lists, `nothing` and attributes; listeners are left out.
 */
import { nothing, type TemplateResult } from 'lit';

export function renderTemplate(value: unknown): string {
  if (value === nothing || value === null || value === undefined || value === '') return '';
  if (Array.isArray(value)) return value.map(renderTemplate).join('');
  if (isTemplate(value)) return renderParts(value);
  if (typeof value === 'string' || typeof value === 'number') return escapeText(String(value));
  throw new Error(`A chart draws something this does not know: ${typeof value}`);
}

/** An SVG document with one element on a line, so that a diff shows what moved. */
export function renderChart(chart: unknown, size: { width: number; height: number }): string {
  const body = renderTemplate(chart)
    .replace(/\s+/g, ' ')
    .replace(/ >/g, '>')
    .replace(/> </g, '><')
    .replace(/></g, '>\n<')
    .replace(/>\n<\/(text|title|rect|line|circle|polyline|polygon)>/g, '></$1>')
    .trim();
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}">\n${body}\n</svg>\n`;
}

function isTemplate(value: unknown): value is TemplateResult {
  return typeof value === 'object' && value !== null && 'strings' in value && 'values' in value;
}

function renderParts({ strings, values }: TemplateResult): string {
  let text = strings[0];
  for (const [i, value] of values.entries()) {
    const listener = /\s@[\w-]+=$/.exec(text);
    const attribute = /\s[\w-]+=$/.test(text);
    if (listener !== null) text = text.slice(0, listener.index);
    else if (attribute) text += `"${escapeText(String(value))}"`;
    else text += renderTemplate(value);
    text += strings[i + 1];
  }
  return text;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
