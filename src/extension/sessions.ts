/** The sessions of all open models, and which of them the user is looking at. */
import * as vscode from 'vscode';
import { Session, type SessionServices } from './session';

interface Entry {
  readonly session: Session;
  /** Open documents that show it. */
  holders: number;
  readonly releaseEngine: () => void;
}

export class Sessions implements vscode.Disposable {
  private readonly entries = new Map<string, Entry>();
  private current: Session | undefined;
  private readonly activeChanged = new vscode.EventEmitter<Session | undefined>();
  /** Fires when another model becomes the one that commands and the side panel mean. */
  readonly onDidChangeActive = this.activeChanged.event;

  constructor(
    private readonly services: SessionServices,
    private readonly holdEngine: () => () => void,
  ) {}

  /** The model looked at last, as long as it is open. */
  get active(): Session | undefined {
    return this.current;
  }

  get(uri: vscode.Uri): Session | undefined {
    return this.entries.get(uri.toString())?.session;
  }

  all(): Session[] {
    return [...this.entries.values()].map(({ session }) => session);
  }

  /** The session of a model, made if there is none; every acquire needs a `release`. */
  acquire(uri: vscode.Uri): Session {
    const key = uri.toString();
    let entry = this.entries.get(key);
    if (!entry) {
      entry = { session: new Session(uri, this.services), holders: 0, releaseEngine: this.holdEngine() };
      this.entries.set(key, entry);
    }
    entry.holders++;
    return entry.session;
  }

  /** Gives a session back. One that is running a job stays until the job has ended. */
  release(session: Session): void {
    const entry = this.entries.get(session.uri.toString());
    if (entry?.session !== session) return;
    entry.holders--;
    if (entry.holders > 0) return;
    if (session.isRunning) void session.runs.run().then(() => this.drop(entry));
    else this.drop(entry);
  }

  activate(session: Session): void {
    if (this.current === session) return;
    this.current = session;
    this.activeChanged.fire(session);
  }

  /** Ends what is going on in all sessions; resolves when what it leaves is kept. */
  async stopRuns(): Promise<void> {
    await Promise.allSettled(this.all().map((session) => session.runs.stop()));
  }

  dispose(): void {
    for (const { session, releaseEngine } of this.entries.values()) {
      session.dispose();
      releaseEngine();
    }
    this.entries.clear();
    this.activeChanged.dispose();
  }

  private drop(entry: Entry): void {
    // It may have been opened again, or gone with the window, while its job ran.
    const key = entry.session.uri.toString();
    if (entry.holders > 0 || this.entries.get(key) !== entry) return;
    this.entries.delete(key);
    entry.session.dispose();
    entry.releaseEngine();
    if (this.current === entry.session) {
      this.current = this.all().at(-1);
      this.activeChanged.fire(this.current);
    }
  }
}
