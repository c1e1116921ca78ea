/** Where sessions outlive their window: VS Code's workspace memento, one entry per model, the oldest forgotten. */
import type { Memento, Uri } from 'vscode';
import { fromStored, type StoredSession, toStored } from './stored';

const prefix = 'session:';
const limit = 100;

export class SessionStore {
  constructor(private readonly memento: Memento) {}

  load(uri: Uri): StoredSession | null {
    return this.read(prefix + uri.toString());
  }

  save(uri: Uri, session: StoredSession): void {
    const key = prefix + uri.toString();
    const isNew = this.memento.get(key) === undefined;
    void this.memento.update(key, toStored(session));
    if (isNew) this.forgetOldest();
  }

  /** Folders of candidates that a stored run still needs; all others are left over. */
  candidates(): Set<string> {
    const runs = this.keys().map((key) => this.read(key)?.run?.result.candidate);
    return new Set(runs.filter((candidate) => candidate !== undefined));
  }

  private forgetOldest(): void {
    const byAge = this.keys()
      .map((key) => ({ key, storedAt: this.read(key)?.storedAt ?? 0 }))
      .sort((a, b) => b.storedAt - a.storedAt);
    for (const { key } of byAge.slice(limit)) void this.memento.update(key, undefined);
  }

  private keys(): string[] {
    return this.memento.keys().filter((key) => key.startsWith(prefix));
  }

  private read(key: string): StoredSession | null {
    return fromStored(this.memento.get<string>(key));
  }
}
