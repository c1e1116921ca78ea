/** What one reading of an ONNX file shares: limits on what a file can make us do, and the external files it uses. */
import { modelTooComplex } from '../../errors';
import type { ExternalFile, ExternalFiles } from './external';

/** Memory that the index of a model may take, estimated. Real models stay below 100 MB. */
const MAX_INDEX_BYTES = 2 ** 29;

/** Control flow in control flow; real models have three levels at most. */
export const MAX_DEPTH = 32;

export class ReadContext {
  /** External files used by parts that are carried along unread. */
  readonly kept = new Set<ExternalFile>();
  private isUnread = false;
  private left = MAX_INDEX_BYTES;

  constructor(readonly external: ExternalFiles) {}

  /**
   * Counts memory that an element takes.
   * @throws UserError `model-too-complex`
   */
  spend(bytes: number, path: string): void {
    this.left -= bytes;
    if (this.left < 0) throw modelTooComplex({ path, limit: MAX_INDEX_BYTES });
  }

  /** Notes the use of an external file. */
  use(file: ExternalFile): void {
    if (this.isUnread) this.kept.add(file);
  }

  /** Runs `read` on a part that is carried along unread. */
  carry(read: () => void): void {
    const outer = this.isUnread;
    this.isUnread = true;
    read();
    this.isUnread = outer;
  }
}
