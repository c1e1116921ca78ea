import { describe, expect, it } from 'vitest';
import { History } from '../../src/extension/history';

describe('undo and redo', () => {
  it('goes back and forth step by step', () => {
    const history = new History('a');
    history.set('b');
    history.set('c');
    expect([history.undo(), history.undo(), history.undo()]).toEqual(['b', 'a', 'a']);
    expect([history.redo(), history.redo(), history.redo()]).toEqual(['b', 'c', 'c']);
  });

  it('takes a drag as one step from before it', () => {
    const history = new History(1);
    history.set(2, { transient: true });
    history.set(3, { transient: true });
    history.set(4);
    expect(history.undo()).toBe(1);
    expect(history.canUndo).toBe(false);
    expect(history.redo()).toBe(4);
  });

  it('undoes a drag that has not ended', () => {
    const history = new History(1);
    history.set(2, { transient: true });
    expect(history.canUndo).toBe(true);
    expect(history.undo()).toBe(1);
    expect(history.redo()).toBe(2);
  });

  it('forgets what was undone once something else is done', () => {
    const history = new History(1);
    history.set(2);
    history.undo();
    history.set(3);
    expect(history.canRedo).toBe(false);
    expect(history.undo()).toBe(1);
  });
});
