/** Runs of the classifier of striped images, in a folder of their own with images to train and to evaluate on. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach } from 'vitest';
import { createService, type Service } from '../../src/engine/service';
import type { Progress, RunResult } from '../../src/protocol/plan';
import { type RecipeInput, settingsSchema } from '../../src/protocol/recipe';
import type { RequestContext } from '../../src/protocol/rpc';
import { scratch } from '../data/scratch';
import { classifier, writeImages } from './stripes';

export type SettingsInput = Omit<RecipeInput, '$schema' | 'version' | 'model' | 'results'>;

/** Where the images are. */
export const stripesData = { path: 'train-images-idx3-ubyte', evaluation: 'test-images-idx3-ubyte' } as const;

export interface Asked {
  /** File in the folder. */
  readonly model?: string;
  readonly signal?: AbortSignal;
  readonly resume?: boolean;
  onProgress?(progress: Progress): void;
}

export interface StripesRuns {
  readonly folder: string;
  readonly service: Service;
  run(settings: SettingsInput, asked?: Asked): Promise<RunResult>;
}

/** A folder and a service of their own for each test of a file. */
export function stripesRuns(): StripesRuns {
  let runs: StripesRuns | undefined;
  beforeEach(async () => {
    const made = await newRuns();
    runs = made;
    return () => made.service.dispose();
  });
  const now = (): StripesRuns => {
    if (!runs) throw new Error('there are runs only while a test runs');
    return runs;
  };
  return {
    get folder() {
      return now().folder;
    },
    get service() {
      return now().service;
    },
    run: (...asked) => now().run(...asked),
  };
}

/** A request that nobody cancels or looks at. */
export function quiet(): RequestContext {
  return { signal: new AbortController().signal, progress: () => undefined };
}

async function newRuns(): Promise<StripesRuns> {
  const folder = await scratch();
  const service = createService({ spectraWorker: null });
  writeFileSync(path.join(folder, 'stripes.onnx'), classifier());
  await writeImages(folder, 'train', 240, 1);
  await writeImages(folder, 'test', 120, 2);
  return {
    folder,
    service,
    run: (settings, { model = 'stripes.onnx', signal, resume, onProgress } = {}) =>
      service.handlers.run(
        {
          path: path.join(folder, model),
          settings: settingsSchema.parse(settings),
          folder,
          storage: path.join(folder, 'storage'),
          checkpoint: path.join(folder, 'checkpoint'),
          resume,
        },
        { ...quiet(), ...(signal ? { signal } : {}), ...(onProgress ? { progress: onProgress } : {}) },
      ),
  };
}
