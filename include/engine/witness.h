/* engine/witness.h - emits the events of device runs, and records the runs if a reader takes
 * details.
 *
 * Why:     a run has five functions for input and one for output; a watcher on them sees everything
 *          once, whichever driver carries it out.
 * Use:     devrun_watch(run, &witness);
 * Threads: any.
 * Source:  docs/events.md.
 */
#ifndef SPINE_ENGINE_WITNESS_H
#define SPINE_ENGINE_WITNESS_H

#include "model/devrun.h"

extern const struct devrun_watcher witness;

#endif
