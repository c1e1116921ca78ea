/** Where sessions outlive their window: VS Code's workspace memento, one entry per model, the oldest forgotten. */
import type { Memento, Uri } from 'vscode';
import { fromStored, type StoredSession, toText } from './stored';

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
    void this.memento.update(key, toText(session));
    if (isNew) this.forgetOldest();
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
