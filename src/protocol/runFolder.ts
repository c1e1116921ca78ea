/** What the engine leaves in the folder of a run, by the names under which the host looks for it. */

/** The state of a training that can go on, unless the host names another file. */
export const CHECKPOINT_NAME = 'training.checkpoint';

/** The folder of what a run has finished, beside its checkpoint. */
export const stagesOf = (checkpoint: string): string => `${checkpoint}.stages`;

/** The file in that folder that says whose stages they are; there is one as soon as any of them is finished. */
export const STAGES_MARK = 'run';

/** How the names of folders with a candidate begin. */
export const CANDIDATE_PREFIX = 'run-';
