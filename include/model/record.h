/* model/record.h - what goes into a device's run and what comes out of it, as JSON objects.
 *
 * Why:     a run that was written down completely can be played back into the core alone
 *          (app/replay.h): the same inputs must give the same actions.
 * Use:     struct buf b = BUF_INIT;
 *          record_event(device, options, event, &b);   {"input":"snmp","ask":3,...}
 *          record_action(device, action, &b);          {"action":"row",...}
 * Threads: any; pure.
 * Promise: nothing that the core looks at is left out or rounded, and equal objects mean equal
 *          contents - except secrets: communities and passphrases become "#1", "#2" and so on,
 *          different ones differently, an empty one stays empty.  drivers/recording.h reads it.
 * Source:  docs/events.md, "Recordings".
 */
#ifndef SPINE_MODEL_RECORD_H
#define SPINE_MODEL_RECORD_H

#include "base/buf.h"
#include "model/devrun.h"

void record_event(const struct device *device, const struct devrun_options *options,
                  const struct devrun_event *event, struct buf *out);
void record_action(const struct device *device, const struct action *action, struct buf *out);

/* The words for numbers of the core's enums, shared with the reader. */
enum record_list {
    RECORD_INPUTS,          /* enum devrun_event_kind */
    RECORD_SNMP_OUTCOMES,   /* enum snmp_outcome */
    RECORD_PING_OUTCOMES,   /* enum ping_outcome */
    RECORD_SCRIPT_OUTCOMES, /* enum script_outcome */
    RECORD_VARBIND_TYPES,   /* enum varbind_type */
    RECORD_LISTS
};

const char *record_word(enum record_list list, int number);
int record_number(enum record_list list, const char *word); /* -1: no such word */

/* How the value of a varbind of this type is written. */
enum record_value {
    RECORD_NOTHING,
    RECORD_SIGNED,
    RECORD_UNSIGNED,
    RECORD_REAL,
    RECORD_OCTETS,
    RECORD_OID
};

enum record_value record_value_of(enum varbind_type type);

#endif
