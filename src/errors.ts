/**
 * Every error a user can meet, in one place: code, message (where, what was found, what was expected) and hint.
 * Anything else that is thrown is a bug and is shown as unexpected, with its stack in the log.
 */

export class UserError extends Error {
  override readonly name = 'UserError';
  constructor(
    /** Stable, kebab-case; tests and scripts match on it. */
    readonly code: string,
    message: string,
    /** What to do next. */
    readonly hint: string,
  ) {
    super(message);
  }
}

/** The form in which an error crosses a process border. */
export interface ErrorInfo {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** Turns anything thrown into what is shown: a UserError as it is, everything else as `unexpected`. */
export function errorInfo(error: unknown): ErrorInfo {
  if (error instanceof UserError) return { code: error.code, message: error.message, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'unexpected', message, hint: 'This is a bug in Espalier. The log has the details.' };
}

export function cancelled(): UserError {
  return new UserError(
    'cancelled',
    'The work was cancelled.',
    'Nothing was written. Start it again when you are ready.',
  );
}

export function engineLost(detail: string): UserError {
  return new UserError(
    'engine-lost',
    `The connection to the engine was lost before it answered (${detail}).`,
    'Try again: the engine starts anew with the next request.',
  );
}
