/**
 * The recipe (`*.prune.json`): everything a run needs, as untrusted data. One zod schema gives the types, the
 * validation at every border and the JSON schema that VS Code completes from (`schemas/`, made by the build).
 */
import { z } from 'zod';

const relativePath = z.string().min(1).max(4096);

export const preprocessingSchema = z
  .object({
    resize: z
      .tuple([z.int().min(1).max(16384), z.int().min(1).max(16384)])
      .nullable()
      .optional()
      .describe(
        '[height, width] the image is resized to; with a crop it keeps its aspect ratio and covers this size, without one it takes exactly this size. null leaves its size.',
      ),
    crop: z
      .tuple([z.int().min(1).max(16384), z.int().min(1).max(16384)])
      .nullable()
      .optional()
      .describe('[height, width] of a centre crop after resizing.'),
    scale: z
      .number()
      .optional()
      .describe('Pixel values (0 to 255) are multiplied by this first, e.g. 0.00392156862745098 for 1/255.'),
    mean: z
      .array(z.number())
      .min(1)
      .max(4)
      .optional()
      .describe('Subtracted per channel after scaling, in the model’s channel order.'),
    std: z
      .array(z.number())
      .min(1)
      .max(4)
      .optional()
      .describe('Divides per channel after subtracting the mean, in the model’s channel order.'),
    layout: z.enum(['NCHW', 'NHWC']).optional().describe('Axis order of the model input.'),
    channels: z.enum(['RGB', 'BGR', 'gray']).optional().describe('Channel order the model expects.'),
  })
  .strict();

/** Targets that are a share of the original and nothing else. */
const shares: readonly string[] = ['macs', 'params', 'latency'];

export const targetSchema = z
  .object({
    kind: z
      .enum(['macs', 'params', 'bytes', 'latency', 'milliseconds', 'drop'])
      .describe(
        'What the target bounds. latency and milliseconds are measured on this machine; drop is found by search and needs labelled images.',
      ),
    value: z
      .number()
      .gt(0)
      .describe(
        'The share to keep (0 to 1) for macs, params and latency; the share (≤ 1) or a number of bytes (> 1) for bytes; a median in milliseconds; or the points of accuracy (percent) that may be lost at most for drop.',
      ),
  })
  .strict()
  .refine(({ kind, value }) => value <= 1 || !shares.includes(kind), {
    path: ['value'],
    error: 'Too big: expected a share of at most 1 (50 % is 0.5)',
  })
  // The same for editors: JSON schemas know nothing of refinements.
  .meta({
    anyOf: [{ properties: { kind: { not: { enum: shares } } } }, { properties: { value: { maximum: 1 } } }],
  });

export const layerOverrideSchema = z
  .object({
    match: z.string().min(1).max(1024).describe('Layer name or glob.'),
    rank: z.int().min(1).optional().describe('Keep exactly this rank.'),
    ratio: z.number().min(0).max(1).optional().describe('Keep this share of the full rank.'),
    keep: z.boolean().optional().describe('true leaves the layer as it is.'),
  })
  .strict();

export const basisOptionsSchema = z
  .object({
    basis: z
      .enum(['auto', 'weights', 'activations'])
      .default('auto')
      .describe(
        'Which orthonormal basis: of the weights, or of the activations on calibration images. auto: activations when there is data.',
      ),
    score: z
      .enum(['energy', 'energy-per-mac', 'taylor-per-mac', 'fisher-per-mac'])
      .default('energy-per-mac')
      .describe(
        'How bases of different layers are compared: share of the layer’s energy; that share per multiply-accumulate saved; or what the loss would change by to first order, squared per batch (taylor) or per image (fisher), per multiply-accumulate saved. The last two need images.',
      ),
    foldBatchNorm: z
      .boolean()
      .default(false)
      .describe('Weigh output channels as the following BatchNormalization does.'),
    refit: z
      .boolean()
      .default(true)
      .describe(
        'Fit the second layer again by least squares, layer by layer, to what the pruned network really computes. Needs images.',
      ),
    finish: z
      .enum(['two-layers', 'recombined'])
      .default('two-layers')
      .describe(
        'Keep the two small layers (faster), or multiply them back into one layer of the original shape (no speed-up; for study).',
      ),
    breakEven: z
      .number()
      .gt(0)
      .max(1)
      .default(0.95)
      .describe('Factorize a layer only when its rank is at most this share of the break-even rank.'),
    ridge: z.number().min(0).max(1).default(1e-5).describe('Ridge term of the refit, relative to the mean diagonal.'),
  })
  .strict();

export const channelOptionsSchema = z
  .object({
    criterion: z
      .enum(['auto', 'l1', 'l2', 'bn-scale', 'fpgm', 'taylor', 'fisher', 'activation', 'lasso', 'random'])
      .default('auto')
      .describe(
        'What makes a channel important: the size of its weights (l1, l2); the scale of its normalization; its distance from the other filters (fpgm); what the loss would change by without it, squared per batch (taylor) or per image (fisher); the size of its activations; what the next layer needs of it (lasso); or chance, for comparison. auto: fisher when there are images, else l2.',
      ),
    aggregate: z
      .enum(['sum', 'mean'])
      .default('sum')
      .describe('How the scores of coupled layers become one score of a channel.'),
    normalize: z
      .enum(['auto', 'none', 'mean', 'largest', 'sum'])
      .default('auto')
      .describe(
        'What a group’s scores are divided by before groups are compared. auto: their mean for what is measured in weights or activations, nothing for changes of the loss.',
      ),
    perMac: z.boolean().default(true).describe('Compare scores per multiply-accumulate that a channel costs.'),
    allocation: z
      .enum(['global', 'uniform', 'sensitivity'])
      .default('global')
      .describe(
        'Where channels are removed: wherever they matter least; the same share everywhere; or by how much the outputs suffer, measured group by group. The last needs images.',
      ),
    mostRemoved: z
      .number()
      .min(0)
      .max(1)
      .default(0.9)
      .describe(
        'Largest share of a group’s channels that may be removed. A group whose layers all have other channels as well may go altogether where the share would leave it less than half of the multiple.',
      ),
    inexact: z
      .boolean()
      .default(false)
      .describe(
        'Also remove channels that a normalization measures across (widths of transformers): what is left then computes something slightly different even for channels of zeros.',
      ),
    compensate: z
      .boolean()
      .default(true)
      .describe(
        'Put what removed channels carry on average into the biases of the layers that read them. Needs images.',
      ),
    reconstruct: z
      .boolean()
      .default(true)
      .describe('Fit the layers that read removed channels again by least squares, one after another. Needs images.'),
    ridge: z.number().min(0).max(1).default(1e-4).describe('Ridge term of that fit, relative to the mean diagonal.'),
  })
  .strict();

export const doubleOptionsSchema = z
  .object({
    order: z
      .enum(['channel-first', 'basis-first'])
      .default('channel-first')
      .describe('Which of the two methods prunes first.'),
    channelShare: z
      .number()
      .min(0)
      .max(1)
      .default(0.75)
      .describe('How much of the reduction, as a factor, falls to the channels; the rest to the bases.'),
    trainBetween: z.boolean().default(true).describe('Train after the first method too.'),
  })
  .strict();

const epochsAfterCut = z.int().min(0).max(10_000).default(0);

export const gsmOptionsSchema = z
  .object({
    keep: z
      .number()
      .gt(0)
      .max(1)
      .default(0.1)
      .describe(
        'Share of the weights of all convolutions and dense layers together that stay; the others become zero. How many that is in each layer comes out of the training.',
      ),
    momentum: z
      .number()
      .min(0)
      .lt(1)
      .default(0.98)
      .describe(
        'Instead of the training’s momentum and optimizer. The nearer to 1, the faster weights decay that take no gradient; 0.98 or 0.99.',
      ),
    weightDecay: z
      .number()
      .min(0)
      .max(1)
      .default(5e-4)
      .describe('Instead of the training’s: it is what drives weights to zero that take no gradient.'),
    nesterov: z.boolean().default(false).describe('Nesterov’s form of the momentum.'),
    save: z
      .enum(['dense', 'sparse', 'compact'])
      .default('dense')
      .describe(
        'How the file holds the zeros. dense: like any other number, no smaller. sparse: only what is not zero, as sparse initializers; the file is smaller, but a runtime makes the weights dense when it loads them, so the model is not faster. compact: without the channels in which no weight is left, which makes the model smaller and faster as far as there are such channels.',
      ),
    epochsAfter: epochsAfterCut.describe(
      'Epochs of plain training after weights were set to zero, with the zeros kept; 0 stops there, as published.',
    ),
    ticket: relativePath
      .optional()
      .describe(
        'A model that was pruned like this before, relative to the recipe: nothing is pruned anew, its zeros are put into the weights that training starts with, and the others are trained (a lottery ticket).',
      ),
  })
  .strict();

export const resRepOptionsSchema = z
  .object({
    schedule: z
      .enum(['short', 'cifar', 'imagenet'])
      .default('short')
      .describe(
        'What the options left out below are. cifar, imagenet: as published, for hundreds of epochs. short: scaled to the run’s own number of steps, so that masked rows really reach zero.',
      ),
    lambda: z
      .number()
      .gt(0)
      .max(10)
      .optional()
      .describe('Strength of the group lasso that pulls every row of a compactor to zero; published: 0.0001.'),
    maskedLambda: z
      .number()
      .gt(0)
      .max(10)
      .optional()
      .describe('The same for masked rows, which nothing else moves; as above when left out, in short runs scaled.'),
    momentum: z.number().min(0).lt(1).default(0.99).describe('Of the compactors; all else has the training’s own.'),
    warmupSteps: z.int().min(0).max(10_000_000).optional().describe('Steps before the first rows are masked.'),
    interval: z.int().min(1).max(1_000_000).optional().describe('Steps from one choice of masked rows to the next.'),
    rowsPerRefresh: z.int().min(1).max(100_000).optional().describe('Rows that each choice may add.'),
    minRows: z.int().min(1).max(100_000).default(1).describe('Fewest channels that any group keeps.'),
    followers: z
      .boolean()
      .default(false)
      .describe(
        'Compactors also in residual chains: layers that add to the same channels share one and are cut alike.',
      ),
    vanished: z.number().gt(0).max(1).default(1e-5).describe('Rows with a norm below this are cut in the end.'),
    epochsAfter: epochsAfterCut.describe(
      'Epochs of plain training after the cut, which are faster as the network is narrower then; 0 stops there, as published.',
    ),
    remainder: z
      .enum(['keep', 'cut'])
      .default('keep')
      .describe(
        'Masked rows that have not vanished in the end. keep: they stay, and the target may be missed. cut: they go, and the result says how much the outputs change.',
      ),
    unchecked: z
      .boolean()
      .default(false)
      .describe('Start also when the schedule is too short for masked rows to reach zero.'),
  })
  .strict();

export const groupOverrideSchema = z
  .object({
    match: z.string().min(1).max(1024).describe('Name of a group of coupled channels (its first layer), or a glob.'),
    ratio: z.number().min(0).max(1).optional().describe('Keep this share of the channels.'),
    keep: z.boolean().optional().describe('true leaves the group as it is.'),
  })
  .strict();

export const dataSchema = z
  .object({
    path: relativePath.describe('Dataset for calibration and, when labelled, evaluation; relative to the recipe.'),
    evaluation: relativePath.optional().describe('A separate dataset for evaluation.'),
    calibrationImages: z
      .int()
      .min(1)
      .max(1_000_000)
      .optional()
      .describe('Images used for calibration (chosen with the seed).'),
    limit: z.int().min(1).optional().describe('Evaluate at most this many images.'),
    preprocessing: preprocessingSchema.optional().describe('Overrides what is guessed from the model’s input.'),
  })
  .strict();

export const trainingSchema = z
  .object({
    epochs: z.int().min(0).max(10_000).default(0).describe('Passes over the training images; 0 does not train.'),
    rounds: z
      .int()
      .min(1)
      .max(100)
      .default(1)
      .describe('Prune in so many steps, each trained for all epochs and scored anew; 1 prunes at once.'),
    initial: z
      .enum(['kept', 'random'])
      .default('kept')
      .describe(
        'What training starts with. kept: the weights as they are. random: weights drawn with the seed, to train a model from scratch.',
      ),
    train: z
      .enum(['head', 'scaling', 'bn', 'small', 'all'])
      .default('all')
      .describe(
        'What is trained, each choice with all before it: the classifier; one scaling factor per kept basis (IBM holds US patent 12,288,160 B2 on transfer learning with basis scaling and pruning); normalization and biases; 1×1 and dense layers; every weight.',
      ),
    loss: z
      .enum(['auto', 'labels', 'distill', 'match'])
      .default('auto')
      .describe(
        'labels: cross-entropy. distill: the original model’s class probabilities, no labels needed. match: its outputs as numbers. auto: distill; for fine-tuning, gsm and new classifiers, labels.',
      ),
    labelShare: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('Weight of the labels beside the original model when distilling; the rest is the original’s.'),
    temperature: z.number().gt(0).max(100).default(4).describe('Softens both distributions when distilling.'),
    features: z
      .number()
      .min(0)
      .max(1000)
      .default(0)
      .describe('Weight of matching the original’s feature maps when distilling.'),
    featureLayers: z
      .array(z.string().min(1).max(1024))
      .max(1000)
      .default([])
      .describe('Names or globs of the layers whose outputs are matched; the last feature map when there are none.'),
    labelSmoothing: z.number().min(0).lt(1).default(0).describe('Spreads this share of each label over all classes.'),
    lr: z.number().gt(0).max(10).default(0.01).describe('Learning rate at its highest.'),
    schedule: z
      .enum(['cosine', 'step', 'constant'])
      .default('cosine')
      .describe('How the learning rate falls; step: to a tenth at each milestone.'),
    milestones: z
      .array(z.number().gt(0).lt(1))
      .max(100)
      .default([0.5, 0.75])
      .describe('When the step schedule lowers the learning rate: shares of the training.'),
    warmup: z.int().min(0).max(1_000_000).default(0).describe('Steps in which the learning rate rises from near 0.'),
    images: z
      .int()
      .min(1)
      .optional()
      .describe('Train on at most this many images, chosen with the seed; all when left out.'),
    batch: z.int().min(1).max(65_536).default(64).describe('Images per step; a model’s fixed batch size goes first.'),
    optimizer: z.enum(['sgd', 'adamw']).default('sgd'),
    momentum: z.number().min(0).lt(1).default(0.9).describe('Of SGD.'),
    nesterov: z.boolean().default(true).describe('Nesterov’s form of SGD’s momentum.'),
    weightDecay: z.number().min(0).max(1).default(0).describe('Of weights; never of biases, normalization or factors.'),
    clip: z.number().min(0).default(5).describe('Largest norm of the gradient; 0 does not clip.'),
    augment: z
      .object({
        crop: z
          .int()
          .min(0)
          .max(1024)
          .optional()
          .describe('Padding out of which a random window is cut; an eighth of the image’s side when left out.'),
        flip: z.boolean().optional().describe('Random mirroring left to right; for colour images when left out.'),
        mix: z
          .boolean()
          .default(false)
          .describe(
            'Mixes each image with another of its batch, so that few images go further. Only where the original model is learnt from without labels.',
          ),
      })
      .strict()
      .prefault({}),
    batchNorm: z
      .enum(['auto', 'frozen', 'reestimate', 'train'])
      .default('auto')
      .describe(
        'BatchNormalization’s statistics. frozen: kept. reestimate: measured again on the images after pruning. train: updated while training. auto: frozen, or train where the weights are random at first.',
      ),
  })
  .strict();

export const transferSchema = z
  .object({
    epochs: z
      .int()
      .min(1)
      .max(10_000)
      .default(30)
      .describe('Passes over the training images in which the new classifier alone is trained.'),
    lr: z.number().gt(0).max(10).default(0.05).describe('Learning rate of the new classifier at its highest.'),
    classes: z.int().min(2).max(1_000_000).optional().describe('Number of classes; as in the data when left out.'),
  })
  .strict();

export const recipeSchema = z
  .object({
    $schema: z.string().optional(),
    version: z.literal(1),
    model: z
      .object({
        path: relativePath.describe('Model file, relative to the recipe.'),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .optional()
          .describe('Checked before the run when present.'),
      })
      .strict(),
    shapes: z
      .record(z.string(), z.array(z.int().min(1)).max(16))
      .optional()
      .describe('Sizes for inputs with free dimensions, e.g. { "input": [1, 3, 224, 224] }.'),
    data: dataSchema.optional(),
    method: z
      .enum(['basis', 'channel', 'double', 'resrep', 'gsm', 'fine-tune'])
      .describe(
        'basis: fewer bases per layer. channel: fewer channels, in groups that belong together. double: both, one after the other. resrep: fewer channels, chosen by training. gsm: single weights all over the model become zero while it trains (global sparse momentum). fine-tune: training alone, nothing is pruned.',
      ),
    transfer: transferSchema
      .optional()
      .describe('Give the model a new classifier for the classes of the data, before anything is pruned.'),
    basis: basisOptionsSchema.prefault({}),
    channel: channelOptionsSchema.prefault({}),
    double: doubleOptionsSchema.prefault({}),
    gsm: gsmOptionsSchema.prefault({}),
    resrep: resRepOptionsSchema.prefault({}),
    target: targetSchema
      .prefault({ kind: 'macs', value: 0.5 })
      .describe('How much of the model stays at most. gsm and fine-tune have no target.'),
    training: trainingSchema.optional().describe('Training after pruning, to recover accuracy.'),
    multiple: z
      .union([z.literal(1), z.literal(4), z.literal(8), z.literal(16), z.literal(32)])
      .default(1)
      .describe('Ranks and numbers of channels are rounded to a multiple of this.'),
    protect: z
      .array(z.string().min(1).max(1024))
      .max(10_000)
      .default([])
      .describe('Globs of layers that stay as they are.'),
    layers: z.array(layerOverrideSchema).max(100_000).default([]).describe('Per-layer overrides; the last match wins.'),
    groups: z
      .array(groupOverrideSchema)
      .max(100_000)
      .default([])
      .describe('Overrides per group of coupled channels; the last match wins.'),
    seed: z.int().min(0).max(0xffffffff).default(0),
    device: z.enum(['auto', 'cpu', 'webgpu', 'cuda', 'directml', 'coreml']).default('cpu'),
    threads: z.int().min(0).max(1024).default(0).describe('0: as many as the machine has.'),
    /** What a run found; written by Espalier, ignored when a recipe is replayed. */
    results: z.unknown().optional(),
  })
  .strict();

/** A validated recipe with its defaults filled in. */
export type Recipe = z.infer<typeof recipeSchema>;
/** What a user may write. */
export type RecipeInput = z.input<typeof recipeSchema>;
export type PruneTarget = z.infer<typeof targetSchema>;
export type LayerOverride = z.infer<typeof layerOverrideSchema>;
export type TransferSettings = z.infer<typeof transferSchema>;
export type TrainingSettings = z.infer<typeof trainingSchema>;
export type GsmOptions = z.infer<typeof gsmOptionsSchema>;
export type ResRepOptions = z.infer<typeof resRepOptionsSchema>;
export type GroupOverride = z.infer<typeof groupOverrideSchema>;
export type PreprocessingInput = z.infer<typeof preprocessingSchema>;

/** The part of a recipe that the editor lets users tweak: everything but the model and the results. */
export type PruneSettings = Omit<Recipe, '$schema' | 'version' | 'model' | 'results'>;
export const settingsSchema = recipeSchema.omit({ $schema: true, version: true, model: true, results: true });

export const datasetSchema = z
  .object({
    $schema: z.string().optional(),
    path: relativePath.describe(
      'The data, relative to this file: a folder of class folders, CIFAR or IDX files, .npz, .csv.',
    ),
    labels: relativePath.optional().describe('Labels file where images and labels are apart (IDX, .npy).'),
    split: z
      .enum(['train', 'test', 'validation', 'all'])
      .optional()
      .describe(
        'Which part is read where a folder or archive holds several, told apart by their names. As for the data itself when left out: the test part, where there is one.',
      ),
    classes: z.array(z.string()).optional().describe('Class names in label order.'),
    labelMap: z
      .record(z.string(), z.int().min(0))
      .optional()
      .describe('Class folder or label text → index of the model’s output.'),
    preprocessing: preprocessingSchema.optional(),
  })
  .strict();
export type DatasetFile = z.infer<typeof datasetSchema>;
