/** Runs in words, for the Runs view. */
import type { RunSummary } from '../../protocol/runs';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const states: Readonly<Record<RunSummary['state'], string>> = {
  running: 'Running',
  paused: 'Paused',
  stopped: 'Stopped',
  done: 'Done',
  failed: 'Failed',
};

/** One line beside the title: what came of it, or how it stands. */
export function runDescription({ state, accuracy, macsShare, paramsShare, message }: RunSummary): string {
  if (state !== 'done') return [states[state].toLowerCase(), message].filter((each) => each !== null).join(': ');
  const size = macsShare === null ? (paramsShare === null ? null : `${percent(paramsShare)} of the parameters`) : null;
  return [
    accuracy === null ? null : `${percent(accuracy)} accuracy`,
    macsShare === null ? size : `${percent(macsShare)} of the MACs`,
  ]
    .filter((each) => each !== null)
    .join(', ');
}

/** Markdown. Text from outside is escaped. */
export function runTooltip(run: RunSummary): string {
  const rows: readonly (readonly [string, string | null])[] = [
    ['State', run.message === null ? states[run.state] : `${states[run.state]}: ${run.message}`],
    ['Started', new Date(run.startedAt).toLocaleString()],
    ['Took', run.seconds === null ? null : duration(run.seconds)],
    ['Accuracy', run.accuracy === null ? null : accuracyText(run.accuracy, run.accuracyBefore)],
    ['MACs left', run.macsShare === null ? null : percent(run.macsShare)],
    ['Parameters left', run.paramsShare === null ? null : percent(run.paramsShare)],
    ['Speed', run.speedup === null ? null : `${run.speedup.toFixed(2)}× as fast`],
    ['Saved as', run.savedAs],
  ];
  const lines = rows.flatMap(([name, value]) => (value === null ? [] : [`| ${name} | ${escaped(value)} |`]));
  return [`**${escaped(run.title)}**`, '', '| | |', '| --- | --- |', ...lines].join('\n');
}

function accuracyText(after: number, before: number | null): string {
  return before === null ? percent(after) : `${percent(before)} → ${percent(after)}`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function escaped(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/[\\`*_{}[\]()#+\-.!|<>&~]/g, '\\$&');
}
