/* engine/mailbox.h - where the answers to a polling thread's script asks wait for it.
 *
 * Why:     the legacy loop's threads block, but a device may have several scripts running.
 * Use:     scripts_begin(s, &ask, deadline, mailbox_put, box);      one answer will come
 *          struct reply *r = mailbox_take(box, wait);  reply_deliver(r, run);  mailbox_free_reply(r);
 * Threads: put from any; the rest from one thread.
 * Owns:    copies of the replies, until they are taken.
 * Promise: every put reply is taken once, in their order.  Waiting has no time of its own: whoever
 *          answers (engine/scripts) promises to.
 */
#ifndef SPINE_ENGINE_MAILBOX_H
#define SPINE_ENGINE_MAILBOX_H

#include "base/compiler.h"
#include "engine/world.h"

#include <stdbool.h>

struct mailbox;

NODISCARD struct mailbox *mailbox_new(void);
void mailbox_free(struct mailbox *m); /* NULL allowed; no answer may be outstanding */
void mailbox_put(void *mailbox, const struct reply *reply);
/* wait false: NULL if there is none yet. */
NODISCARD struct reply *mailbox_take(struct mailbox *m, bool wait);
void mailbox_free_reply(struct reply *r);

#endif
