/* engine/resume.h - what an interrupted cycle has left is polled by another run within its interval.
 *
 * Why:     a stop of the poller, or of the machine's services, need not cost an interval of values.
 * Use:     start = resume_begin(config, started, &resumed);      when a cycle is made
 *          resume_skip(&resumed, &roster);                      devices that are done are not polled
 *          resume_end(cycle);                                  after its closing lines
 * Threads: any, one at a time per cycle; blocking, but on a small file alone.
 * Promise: a device counts as done if it was polled to the end and its rows are stored or spooled; if rows were lost, none
 *          does.  Where the file is not to be used, a line says why and all devices are polled.  A cycle that is
 *          not resumed removes what an earlier one has left, and so does one that was resumed to its end.
 *          Nothing but a checkpoint is ever removed.
 */
#ifndef SPINE_ENGINE_RESUME_H
#define SPINE_ENGINE_RESUME_H

#include "engine/cycle.h"

/* The monotonic start of the cycle: this one's, or that of the cycle that is continued, whose checkpoint is *ret. */
NODISCARD int64_t resume_begin(const struct config *config, int64_t started_mono_ms,
                               struct checkpoint *ret);
void resume_skip(const struct checkpoint *resumed, struct roster *roster);
void resume_end(struct cycle *c);

#endif
