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
import type { LearningRequest, Subject } from './learned';
import type { OpenedModel } from './models';
import { within } from './scene';
import { measureSensitivity } from './sensitivity';

/** What matters to channels, as something to learn from images: some numbers per channel, of one criterion per pair. */
export const channels: Subject<ChannelKnowledge, ChannelKnowledge> = {
  name: 'the importance of channels',
  kept: 8,
  dependsOn({ channel: { criterion, allocation, aggregate, normalize } }) {
    return [criterion, allocation === 'sensitivity' ? [aggregate, normalize] : null];
  },
  learn: learnChannels,
  told: (found) => found,
};

/** @throws UserError `shapes-unknown` and what reading the images throws */
async function learnChannels(
  opened: OpenedModel,
  { settings, folder }: LearningRequest,
  context: RequestContext,
): Promise<ChannelKnowledge> {
  const groups = await channelGroups(opened);
  const data = settings.data as NonNullable<PruneSettings['data']>;
  const inputs = await openInputs(opened, path.resolve(folder, data.path), {
    preprocessing: data.preprocessing,
    signal: context.signal,
  });
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
