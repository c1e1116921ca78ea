/**
 * What was found out from a user's images: looked for once for the same model, images and settings, and passed on to
 * other threads as far as they need it.
 */
import path from 'node:path';
import { dataNeeded } from '../errors';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { canonical } from '../settings/canonical';
import type { OpenedModel, OpenModels } from './models';

export interface LearningRequest {
  /** Of the model. */
  readonly path: string;
  readonly settings: PruneSettings;
  /** Relative data paths start here. */
  readonly folder: string;
}

/** Something that images can tell of a model. */
export interface Subject<Found, Told> {
  /** For people; tells its news from those of others. */
  readonly name: string;
  /** How many are kept. */
  readonly kept: number;
  /** What it depends on beside the model and the images. */
  dependsOn(settings: PruneSettings): readonly unknown[];
  learn(opened: OpenedModel, request: LearningRequest, context: RequestContext): Promise<Found>;
  /** What projections need of it; small enough to send between threads. */
  told(found: Found): Told;
}

/** What threads tell each other. */
export interface News {
  readonly subject: string;
  readonly key: string;
  readonly told: unknown;
}

/** How many are kept of what was told. */
const TOLD_KEPT = 8;

export class Learned<Found, Told> {
  private readonly found = new Map<string, Found>();
  private readonly told = new Map<string, Told>();

  /** @param tell passes news on */
  constructor(
    private readonly subject: Subject<Found, Told>,
    private readonly models: OpenModels,
    private readonly tell: (news: News) => void,
  ) {}

  /**
   * What the request's images tell: as it was found before, or found now.
   * @throws UserError `data-needed` without images, and what looking at them throws
   */
  async learn(request: LearningRequest, context: RequestContext): Promise<Found> {
    const { name, kept } = this.subject;
    const opened = await this.models.withShapes(request.path, request.settings.shapes);
    const key = this.keyOf(opened, request.settings, request.folder);
    if (key === null) throw dataNeeded({ what: name });
    const known = this.found.get(key);
    if (known) return known;
    const found = await this.subject.learn(opened, request, context);
    keep(this.found, key, found, kept);
    const told = this.subject.told(found);
    keep(this.told, key, told, TOLD_KEPT);
    this.tell({ subject: name, key, told });
    return found;
  }

  /** What is known by now, be it found here or told; null when nothing is. */
  known(opened: OpenedModel, settings: PruneSettings, folder: string): Told | null {
    const key = this.keyOf(opened, settings, folder);
    return (key === null ? null : this.told.get(key)) ?? null;
  }

  /** Takes over what another thread has found, if it is of this subject. */
  adopt({ subject, key, told }: News): void {
    if (subject === this.subject.name) keep(this.told, key, told as Told, TOLD_KEPT);
  }

  /** Same key, same findings; null without images. */
  private keyOf(opened: OpenedModel, settings: PruneSettings, folder: string): string | null {
    const { data, seed, shapes } = settings;
    if (!data) return null;
    const images = [path.resolve(folder, data.path), data.calibrationImages, data.preprocessing, seed];
    return canonical([opened.model.path, opened.stamp, shapes, images, this.subject.dependsOn(settings)]);
  }
}

/** Keeps so many; the oldest go. */
function keep<Value>(all: Map<string, Value>, key: string, value: Value, most: number): void {
  all.set(key, value);
  for (const oldest of all.keys()) if (all.size > most) all.delete(oldest);
}
