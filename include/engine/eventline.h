/* engine/eventline.h - a lifecycle event as one line, for a program or for a person.
 *
 * Why:     the event log and the daemon's events are read by the same programs, so one function writes both.
 * Use:     eventline_json(&out, item, EVENTLINE_OF_A_CYCLE);
 * Threads: any; pure but for the pid and the zone of the local time.
 * Promise: the line ends with a line feed and has no other one.
 * Source:  docs/events.md.
 */
#ifndef SPINE_ENGINE_EVENTLINE_H
#define SPINE_ENGINE_EVENTLINE_H

#include "base/buf.h"
#include "base/stream.h"

#include <stdint.h>

enum eventline_scope {
    EVENTLINE_OF_A_CYCLE, /* "pid" is of the process that Cacti has started, also if a daemon polls */
    EVENTLINE_OF_MANY,    /* "pid" is this one's; with poller_id and client_pid */
};

void eventline_json(struct buf *out, const struct stream_item *item, enum eventline_scope scope);
/* "2026-11-28 12:00:00.123 poller 1, 4711: device.finished Device[7] values=5". */
void eventline_text(struct buf *out, const struct stream_item *item);

/* In the place of events that a reader was too slow for. */
void eventline_json_gap(struct buf *out, uint64_t dropped);
void eventline_text_gap(struct buf *out, uint64_t dropped);

#endif
