/** Keeps a slow task from falling behind a fast user. */

/**
 * Wraps a task so that only one runs at a time and only the newest waiting input runs next; inputs in between are
 * dropped. The promise of a dropped call settles with the call that replaced it. The task handles its own errors.
 */
export function latest<Input>(task: (input: Input) => Promise<void>): (input: Input) => Promise<void> {
  let running: Promise<void> | null = null;
  let waiting: { input: Input; promise: Promise<void> } | null = null;

  const start = (input: Input): Promise<void> => {
    const current = task(input).finally(() => {
      if (running === current) running = null;
    });
    running = current;
    return current;
  };

  return (input) => {
    if (waiting) {
      waiting.input = input;
      return waiting.promise;
    }
    if (!running) return start(input);
    const next = () => {
      const { input: newest } = waiting!;
      waiting = null;
      return start(newest);
    };
    waiting = { input, promise: running.then(next, next) };
    return waiting.promise;
  };
}
