/* engine/cycle_private.h - what the files of engine/cycle share. No other file includes it. */
#ifndef SPINE_ENGINE_CYCLE_PRIVATE_H
#define SPINE_ENGINE_CYCLE_PRIVATE_H

#include "engine/cycle.h"

/* The roster, the widths of the columns for values and the first slice, by the cycle's own store. */
NODISCARD bool cycle_load_roster(struct cycle *c, struct err *err);
/* After reading, which has less time. */
void cycle_allow_storing(struct cycle *c, struct store *s);

#endif
