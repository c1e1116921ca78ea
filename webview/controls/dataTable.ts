/** A table as data: drawn as a real `<table>` for eyes and screen readers, or written as CSV. */
import { css, html, nothing, type TemplateResult } from 'lit';
import { strings } from '../strings';

export type Cell = string | number | null;

export interface DataColumn {
  readonly label: string;
  /** How a value is shown; the CSV has the plain value. Given for numbers, which are set right. */
  readonly format?: (value: number) => string;
}

export interface DataTable {
  readonly caption: string;
  readonly columns: readonly DataColumn[];
  readonly rows: readonly (readonly Cell[])[];
}

/** More rows than this make a page slow; the CSV has them all. */
export const tableRowLimit = 1000;

export const dataTableStyles = css`
  .data-table {
    width: 100%;
    border-collapse: collapse;
    font-variant-numeric: tabular-nums;
  }
  .data-table caption {
    padding: 4px 0;
    color: var(--dim);
    text-align: left;
  }
  .data-table th,
  .data-table td {
    padding: 3px 8px;
    border-bottom: 1px solid var(--line);
    font-weight: 400;
    text-align: left;
    vertical-align: top;
  }
  .data-table thead th {
    color: var(--dim);
    font-size: 0.92em;
  }
  .data-table .right {
    text-align: right;
    white-space: nowrap;
  }
  .data-table tbody th {
    overflow-wrap: break-word;
  }
`;

export function dataTable(table: DataTable, { showCaption = true } = {}): TemplateResult {
  const { columns } = table;
  const rows = table.rows.slice(0, tableRowLimit);
  const side = (column: DataColumn) => (column.format === undefined ? '' : 'right');
  return html`
    <table class="data-table">
      <caption class=${showCaption ? '' : 'visually-hidden'}>${table.caption}</caption>
      <thead>
        <tr>${columns.map((column) => html`<th scope="col" class=${side(column)}>${column.label}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>${row.map((cell, i) =>
              i === 0
                ? html`<th scope="row" class=${side(columns[i])}>${shownCell(cell, columns[i])}</th>`
                : html`<td class=${side(columns[i])}>${shownCell(cell, columns[i])}</td>`,
            )}</tr>`,
        )}
      </tbody>
    </table>
    ${rows.length < table.rows.length ? html`<p class="dim small">${strings.table.limited(rows.length, table.rows.length)}</p>` : nothing}
  `;
}

function shownCell(cell: Cell, column: DataColumn): string {
  if (cell === null) return '–';
  return typeof cell === 'number' && column.format !== undefined ? column.format(cell) : String(cell);
}

/** RFC 4180, with every row; unknown values are empty. */
export function toCsv(table: DataTable): string {
  const lines = [table.columns.map((column) => column.label), ...table.rows];
  return lines.map((line) => line.map(csvCell).join(',')).join('\r\n') + '\r\n';
}

function csvCell(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  // Names come from the file; a spreadsheet would run one that starts like a formula.
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
