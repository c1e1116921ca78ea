#!/usr/bin/env node
/**
 * The command line: the engine without an editor. Results on stdout, progress on stderr.
 * Exit codes: 0 done, 1 an error the user can act on, 2 wrong usage, 130 cancelled.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { textFile, writeFiles } from '../atomic';
import { checkOutput } from '../engine/save';
import { createService, type Service } from '../engine/service';
import { badUsage, cancelled, errorInfo, outputNeeded, trainingStopped, UserError } from '../errors';
import type { RequestContext } from '../protocol/rpc';
import { stagesOf } from '../protocol/runFolder';
import { recipeText } from '../recipe/file';
import { learnsFromImages } from '../settings/images';
import { type Arguments, commands, helpText, parseArguments, parseCount, parseDevice, parseShapes } from './args';
import { progressReporter } from './progress';
import { loadSettings } from './recipe';
import { compareText, evaluateText, inspectText, projectionText, runText, trainingTimeText } from './text';

interface Session {
  readonly service: Service;
  readonly context: RequestContext;
  print(text: string, document: unknown): void;
}

async function inspect(args: Arguments, { service, context, print }: Session): Promise<void> {
  const file = path.resolve(args.operands[0] as string);
  const facts = await service.handlers.shapes({ path: file, shapes: parseShapes(args.list('shape')) }, context);
  const names = facts.layers.filter((layer) => layer.matrices).map((layer) => layer.name);
  const spectra = args.flag('spectra') ? await service.handlers.spectra({ path: file, layers: names }, context) : null;
  const values = new Map(spectra?.map((s) => [s.layer, s.singularValues]));
  const { totals } = facts;
  print(inspectText(facts, spectra), {
    ...facts,
    totals: {
      params: totals.params,
      macs: totals.macs,
      flops: totals.macs === null ? null : 2 * totals.macs,
      bytes: totals.bytes,
    },
    layers: facts.layers.map((layer) => ({
      ...layer,
      ...(values.has(layer.name) ? { singularValues: [...(values.get(layer.name) as Float64Array)] } : {}),
    })),
  });
}

async function evaluate(args: Arguments, { service, context, print }: Session): Promise<void> {
  const data = args.value('data');
  if (!data) throw badUsage({ found: 'no --data', expected: commands.evaluate.usage });
  const { accuracy, latency, warnings } = await service.handlers.evaluate(
    {
      path: path.resolve(args.operands[0] as string),
      data: path.resolve(data),
      limit: parseCount(args, 'limit', 1),
      shapes: parseShapes(args.list('shape')),
      device: parseDevice(args),
      threads: parseCount(args, 'threads'),
    },
    context,
  );
  const { confusion, ...rest } = accuracy;
  print(evaluateText(accuracy, latency, warnings), {
    ...rest,
    warnings,
    confusion: [...confusion],
    latencyMs: latency && { median: latency.median, iqr: latency.iqr, batch: latency.batch, threads: latency.threads },
  });
}

async function prune(args: Arguments, { service, context, print }: Session): Promise<void> {
  const { model, settings } = await loadSettings(args);
  const folder = path.dirname(model);
  const request = { path: model, settings, folder };
  const saveRecipe = args.value('save-recipe');
  if (args.flag('dry-run')) {
    if (learnsFromImages(settings)) await service.handlers.calibrate(request, context);
    const facts = await service.handlers.shapes({ path: model, shapes: settings.shapes }, context);
    const projection = await service.handlers.project(request, context);
    const training = settings.training?.epochs ? await service.handlers.trainingTime(request, context) : null;
    const text = `${projectionText(projection, facts.layers)}${training ? trainingTimeText(training) : ''}`;
    const named = projection.layers.map(({ layer, ...rest }) => ({ name: layer, ...rest }));
    return print(text, { settings, ...projection, layers: named, ...(training ? { training } : {}) });
  }
  if (!args.value('output')) throw outputNeeded();
  const output = path.resolve(args.value('output') as string);
  const overwrite = args.flag('force');
  checkOutput({ model, output, overwrite });
  const storage = mkdtempSync(path.join(tmpdir(), 'espalier-run-'));
  try {
    // Beside the output, so that the same command with --resume finds it.
    const checkpoint = `${output}.checkpoint`;
    const toRun = { ...request, storage, checkpoint, resume: args.flag('resume') };
    const run = await service.handlers.run(toRun, context).catch((error: unknown) => {
      const canResume = existsSync(checkpoint) || existsSync(stagesOf(checkpoint));
      throw context.signal.aborted && canResume ? trainingStopped() : error;
    });
    const saved = await service.handlers.save({ run, settings, folder, output, overwrite }, context);
    if (saveRecipe) {
      const file = path.resolve(saveRecipe);
      writeFiles([textFile(file, await recipeText(file, model, settings))], { overwrite });
    }
    const { before, after, layers, verification, seconds, speedup, speedupNote, warnings, device } = run;
    print(runText(run, saved), {
      output: saved.model,
      recipe: saved.recipe,
      before: plain(before),
      after: plain(after),
      speedup,
      speedupNote,
      layers: layers.map(({ layer, ...rest }) => ({ name: layer, ...rest })),
      layerLatency: run.layerLatency,
      verification,
      ...(run.training ? { training: run.training } : {}),
      ...(run.sparsity ? { sparsity: run.sparsity } : {}),
      warnings,
      device,
      seconds,
    });
  } finally {
    rmSync(storage, { recursive: true, force: true });
  }
}

/** Typed arrays as plain ones, for JSON. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, v) => (ArrayBuffer.isView(v) ? [...(v as Uint32Array)] : v)));
}

async function compare(args: Arguments, { service, context, print }: Session): Promise<void> {
  const [a, b] = args.operands.map((file) => path.resolve(file)) as [string, string];
  const comparison = await service.handlers.compare(
    { a, b, data: args.value('data'), limit: parseCount(args, 'limit', 1) },
    context,
  );
  print(compareText(comparison), plain(comparison));
}

const run = { inspect, evaluate, prune, compare };

async function main(words: readonly string[]): Promise<number> {
  const asJson = words.includes('--json');
  const progress = progressReporter(process.stderr);
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort(cancelled()));
  process.once('SIGTERM', () => abort.abort(cancelled()));
  try {
    const args = parseArguments(words);
    if ('help' in args) {
      process.stdout.write(helpText(args.help));
      return words.length === 0 ? 2 : 0;
    }
    const service = createService({ spectraWorker: path.join(__dirname, 'spectra.worker.js') });
    try {
      await run[args.command](args, {
        service,
        context: { signal: abort.signal, progress: (p) => progress.report(p) },
        print: (text, document) => {
          progress.end();
          process.stdout.write(asJson ? `${JSON.stringify(document)}\n` : text);
        },
      });
    } finally {
      await service.dispose();
    }
    return 0;
  } catch (error) {
    progress.end();
    const isTold = error instanceof UserError && error.code === 'cancelled';
    const shown = abort.signal.aborted && !isTold ? cancelled() : error;
    const { code, message, hint } = errorInfo(shown);
    if (asJson) process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
    else process.stderr.write(`espalier: ${message}\n${hint}\n`);
    if (!(shown instanceof UserError)) process.stderr.write(`${(shown as Error)?.stack ?? shown}\n`);
    return code === 'cancelled' ? 130 : code === 'bad-usage' ? 2 : 1;
  }
}

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
