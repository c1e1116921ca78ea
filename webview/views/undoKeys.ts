/** Undo and redo by keys, in both views. */
import { isTyping } from '../controls/keys';
import type { Session } from '../session';

/**
 * Ctrl+Z and Ctrl+Y (or Shift+Ctrl+Z) undo and redo changes of the plan; while a text is typed, they are the text's.
 * Either way the key is used up here: VS Code forwards keys that leave the page to its own keybindings, which would
 * undo a second time.
 */
export function undoKeys(session: Session, event: KeyboardEvent): void {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  const method = key === 'y' || (key === 'z' && event.shiftKey) ? 'redo' : key === 'z' ? 'undo' : null;
  if (method === null) return;
  event.stopPropagation();
  if (isTyping(event)) return;
  event.preventDefault();
  const { canUndo, canRedo } = session.state;
  if (method === 'undo' ? canUndo : canRedo) session.act(method, {});
}
