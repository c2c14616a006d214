/* engine/witness.h - tells the stream what device runs do; and records them, if a reader wants to
 * replay.
 *
 * Why:     a run has five doors for what goes in and one for what comes out; a watcher there
 *          sees everything once, whichever driver carries it out.
 * Use:     devrun_watch(run, &witness);
 * Threads: any.
 * Source:  docs/events.md.
 */
#ifndef SPINE_ENGINE_WITNESS_H
#define SPINE_ENGINE_WITNESS_H

#include "model/devrun.h"

extern const struct devrun_watcher witness;

#endif
