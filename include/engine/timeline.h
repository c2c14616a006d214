/* engine/timeline.h - a picture of the cycle: one HTML file that needs nothing else.
 *
 * Use:     timeline_print(census, &facts, &html);
 * Threads: any; pure.
 * Promise: the page is share/timeline.html with the data of the cycle in it; it loads nothing from elsewhere.  No
 *          text of a device can end the data or become markup.
 * Source:  docs/timeline.md.
 */
#ifndef SPINE_ENGINE_TIMELINE_H
#define SPINE_ENGINE_TIMELINE_H

#include "base/buf.h"
#include "engine/census.h"

void timeline_print(const struct census *c, const struct census_facts *facts, struct buf *out);

#endif
