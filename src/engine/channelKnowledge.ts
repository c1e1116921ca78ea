/** What a user's images tell of a model's channels: statistics for the criterion, and measured damage where asked for. */
import path from 'node:path';
import { UserError } from '../errors';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { Criterion } from '../prune/importance';
import { channelStatistics, type StatisticsRequest } from './channelStatistics';
import { type ChannelKnowledge, channelGroups, planOfChannels } from './channels';
import { deviceOf } from './devices';
import { openInputs } from './inputs';
import type { OpenedModel, OpenModels } from './models';
import { within } from './scene';
import { measureSensitivity } from './sensitivity';

/** What lanes tell each other. */
export interface KnowledgeNews {
  readonly kind: 'channels';
  readonly key: string;
  readonly knowledge: ChannelKnowledge;
}

/** Same key, same knowledge; null without images. */
export function knowledgeKey(opened: OpenedModel, settings: PruneSettings, folder: string): string | null {
  if (!settings.data) return null;
  const { path: data, calibrationImages, preprocessing } = settings.data;
  return JSON.stringify([
    opened.model.path,
    opened.stamp,
    path.resolve(folder, data),
    calibrationImages ?? null,
    preprocessing ?? null,
    settings.seed,
    settings.shapes ?? null,
    settings.channel.criterion,
    settings.channel.allocation === 'sensitivity' ? [settings.channel.aggregate, settings.channel.normalize] : null,
  ]);
}

/** @throws UserError `shapes-unknown` and what reading the images throws */
export async function learnChannels(
  models: OpenModels,
  modelPath: string,
  settings: PruneSettings,
  folder: string,
  context: RequestContext,
): Promise<ChannelKnowledge> {
  const opened = await models.withShapes(modelPath, settings.shapes);
  const groups = await channelGroups(opened);
  const data = settings.data as NonNullable<PruneSettings['data']>;
  const inputs = await openInputs(opened, path.resolve(folder, data.path), data.preprocessing);
  const session = { device: await deviceOf(settings.device), threads: settings.threads };
  try {
    const wantsSensitivity = settings.channel.allocation === 'sensitivity';
    const share = wantsSensitivity ? 0.5 : 1;
    const request = { opened, groups, settings, inputs, session };
    const found = await statisticsFor(request, within(context, [0, share]));
    if (!wantsSensitivity) return { ...found, sensitivity: null };
    const byScore = { ...settings, channel: { ...settings.channel, allocation: 'global' as const } };
    const { details } = planOfChannels(opened, groups, byScore, { ...found, sensitivity: null });
    const sensitivity = await measureSensitivity(
      { opened, groups, details, inputs, session, seed: settings.seed },
      within(context, [share, 1]),
    );
    return { ...found, sensitivity };
  } finally {
    await inputs.close();
  }
}

/** For the criterion that the settings name; `auto` goes by the change of the loss, or by activations where there is none. */
async function statisticsFor(
  request: Omit<StatisticsRequest, 'criterion'>,
  context: RequestContext,
): Promise<Omit<ChannelKnowledge, 'sensitivity'>> {
  const { criterion } = request.settings.channel;
  const measured = async (chosen: Criterion) => {
    return { criterion: chosen, statistics: await channelStatistics({ ...request, criterion: chosen }, context) };
  };
  if (criterion !== 'auto') return measured(criterion);
  try {
    return await measured('fisher');
  } catch (error) {
    if (!(error instanceof UserError) || !WITHOUT_LOSS.includes(error.code)) throw error;
    return measured('activation');
  }
}

/** What stands in the way of a loss, or of its gradients. */
const WITHOUT_LOSS: readonly string[] = ['not-a-classifier', 'no-gradient', 'not-trainable'];
