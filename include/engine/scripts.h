/* engine/scripts.h - the scripts and PHP script servers of one cycle, under one supervisor.
 *
 * Why:     both paths ask the same drivers; only where the supervisor lives differs.
 * Use:     struct scripts *s = scripts_new(config, services, loop, &err);  loop NULL: a thread of its own
 *          scripts_warm(s, count);                     that many script servers will be asked at once
 *          scripts_begin(s, &ask, deadline, done, arg);
 *          scripts_give_up(s);
 *          scripts_stop(s, deadline, on_stopped, arg);  on the loop; or scripts_end(s, deadline)
 *          scripts_free(s);
 * Threads: new, end and free on the main thread.  With a loop everything else on it, too, and done
 *          comes there; without, from any thread, and done comes on the supervisor's.
 * Owns:    the child processes.  A reply's contents are valid during done().
 * Promise: each ask ends exactly once in done(), never from within scripts_begin() on the loop;
 *          after scripts_give_up() soon.  After scripts_end(), or on_stopped(), no process of the
 *          program is left that a signal can end.
 * Errors:  NULL: no supervisor could be started.  What a child does wrong is in its reply or in the log.
 * Source:  docs/contract.md 14, 15.
 */
#ifndef SPINE_ENGINE_SCRIPTS_H
#define SPINE_ENGINE_SCRIPTS_H

#include "drivers/script.h"
#include "engine/config.h"
#include "engine/services.h"
#include "model/ask.h"

struct loop;
struct scripts;

typedef void scripts_stopped_fn(void *arg);

/* From asking the last child to leave to having killed it. */
enum { SCRIPTS_END_MS = 2000 };

NODISCARD struct scripts *scripts_new(const struct config *config, struct services *services,
                                      struct loop *loop, struct err *err);
/* NULL allowed; not while asks are open. */
void scripts_free(struct scripts *s);

/* Does one PHP script server start, as a cycle would start it?  A trial without requests; false: why not. */
NODISCARD bool scripts_try_server(const struct config *config, int64_t until_mono_ms,
                                  struct err *err);

void scripts_warm(struct scripts *s, size_t servers);
void scripts_begin(struct scripts *s, const struct ask *ask, int64_t deadline_mono_ms,
                   script_done_fn *done, void *arg);
void scripts_give_up(struct scripts *s);

/* Once, one of them. */
void scripts_stop(struct scripts *s, int64_t deadline_mono_ms, scripts_stopped_fn *done, void *arg);
void scripts_end(struct scripts *s, int64_t deadline_mono_ms);

#endif
