/* engine/meter.h - how far a cycle is, as one short line for a person who watches it.
 *
 * Use:     meter_print(census_sums(c), clock_mono_us(), &text);
 * Threads: any; pure.
 * Promise: at most METER_WIDTH characters of ASCII.  The time that is left is a guess from the devices that were polled;
 *          there is none before METER_GUESS_US, nor without the number of all devices.
 */
#ifndef SPINE_ENGINE_METER_H
#define SPINE_ENGINE_METER_H

#include "base/buf.h"
#include "engine/census.h"

enum { METER_WIDTH = 78, METER_GUESS_US = 1000000 };

void meter_print(const struct census_sums *s, int64_t now_mono_us, struct buf *out);

#endif
