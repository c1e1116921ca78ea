/** Remembers the last result of a function for the same inputs, so that unchanged parts of a view stay identical. */
export class Memo<T> {
  private inputs: readonly unknown[] | null = null;
  private result: T | undefined;

  get(inputs: readonly unknown[], make: () => T): T {
    const same = this.inputs?.length === inputs.length && this.inputs.every((input, i) => Object.is(input, inputs[i]));
    if (!same) {
      this.result = make();
      this.inputs = inputs;
    }
    return this.result as T;
  }
}
