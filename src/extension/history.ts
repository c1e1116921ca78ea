/** Undo and redo of one value. A drag changes the value many times but is one step: its tweaks are `transient`. */

/** Steps kept; older ones are forgotten. */
const limit = 200;

export class History<T> {
  private past: T[] = [];
  private future: T[] = [];
  /** Value before the transient tweaks that no step holds yet; null when there are none. */
  private base: { readonly value: T } | null = null;

  constructor(private present: T) {}

  get value(): T {
    return this.present;
  }

  get canUndo(): boolean {
    return this.past.length > 0 || this.base !== null;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** Takes a new value: as a step of its own, or as part of the step that the next non-transient value closes. */
  set(value: T, { transient = false }: { transient?: boolean } = {}): void {
    this.base ??= { value: this.present };
    this.present = value;
    this.future = [];
    if (!transient) this.close();
  }

  /** Returns to the value before the last step; keeps the value when there is none. */
  undo(): T {
    this.close();
    const previous = this.past.pop();
    if (previous !== undefined) {
      this.future.push(this.present);
      this.present = previous;
    }
    return this.present;
  }

  /** Goes forward again; keeps the value when there is nowhere to go. */
  redo(): T {
    const next = this.future.pop();
    if (next !== undefined) {
      this.past.push(this.present);
      this.present = next;
    }
    return this.present;
  }

  private close(): void {
    if (!this.base) return;
    this.past.push(this.base.value);
    if (this.past.length > limit) this.past.shift();
    this.base = null;
  }
}
