/** Progress on stderr: one line that redraws itself on a terminal, a line per phase and epoch elsewhere. */
import type { Progress } from '../protocol/plan';

const BAR = 24;

export function progressReporter(stream: NodeJS.WriteStream): { report(progress: Progress): void; end(): void } {
  let last = '';
  let drawn = false;
  return {
    report({ phase, message, fraction, training }) {
      if (stream.isTTY) {
        const filled = Math.round((fraction ?? 0) * BAR);
        const bar =
          fraction === null
            ? ''
            : `[${'='.repeat(filled)}${' '.repeat(BAR - filled)}] ${Math.round(fraction * 100)} % `;
        stream.write(`\r\x1b[2K${(bar + message).slice(0, (stream.columns ?? 80) - 1)}`);
        drawn = true;
        return;
      }
      const step = training ? `${phase} ${training.epoch}` : phase;
      if (step !== last) stream.write(`${message}\n`);
      last = step;
    },
    end() {
      if (drawn) stream.write('\r\x1b[2K');
    },
  };
}
