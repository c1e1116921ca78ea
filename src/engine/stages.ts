/**
 * Models between the stages of a run (a new classifier, pruning in rounds), kept on disk until the run is done, so that
 * a run that was stopped goes on with the stage it was in. Each stage is a model file and what was reported of it; a
 * stage counts as finished when its report is there.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { textFile, writeFiles } from '../atomic';
import { checkpointDiffers } from '../errors';
import type { Model } from '../formats/model';
import { writeOnnx } from '../formats/onnx/write';
import type { Graph } from '../graph/graph';
import { STAGES_MARK } from '../protocol/runFolder';

export interface FinishedStage<Report> {
  /** Where its model lies. */
  readonly path: string;
  readonly report: Report;
}

export class Stages {
  /**
   * @param folder of its own; made when the first stage is finished
   * @param fingerprint identifies the run: stages of another one are not used
   * @throws UserError `checkpoint-differs` when a run is resumed that these stages do not belong to
   */
  constructor(
    private readonly folder: string,
    private readonly fingerprint: string,
    resume: boolean,
  ) {
    if (!resume) this.remove();
    else if (existsSync(this.mark) && readFileSync(this.mark, 'utf8') !== fingerprint) throw checkpointDiffers();
  }

  /** Stages of a part of the run that has several of its own. */
  within(part: string): Stages {
    return new Stages(path.join(this.folder, part), this.fingerprint, true);
  }

  /** Whether any stage is finished. */
  get some(): boolean {
    return existsSync(this.mark);
  }

  finished<Report>(name: string): FinishedStage<Report> | null {
    const report = this.file(name, '.json');
    if (!existsSync(report)) return null;
    return { path: this.file(name, '.onnx'), report: JSON.parse(readFileSync(report, 'utf8')) as Report };
  }

  /** Writes a stage's model, then its report. */
  finish<Report>(name: string, model: Model, graph: Graph, report: Report): FinishedStage<Report> {
    mkdirSync(this.folder, { recursive: true });
    const file = this.file(name, '.onnx');
    writeOnnx(model, graph, file, { overwrite: true });
    writeFiles([textFile(this.file(name, '.json'), JSON.stringify(report)), textFile(this.mark, this.fingerprint)], {
      overwrite: true,
    });
    return { path: file, report };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get mark(): string {
    return path.join(this.folder, STAGES_MARK);
  }

  private file(name: string, extension: string): string {
    return path.join(this.folder, `${name}${extension}`);
  }
}
