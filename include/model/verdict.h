/* model/verdict.h - whether ways of polling disagree about an item, or the item itself moves.
 *
 * Why:     the same item is asked for several times, each way in turn and that in rounds; counters and
 *          gauges move meanwhile, and only what cannot be explained by that is a difference.
 * Threads: any; pure.
 * Source:  docs/rollout.md, "Verify".
 */
#ifndef SPINE_MODEL_VERDICT_H
#define SPINE_MODEL_VERDICT_H

#include <stddef.h>

enum item_verdict {
    VERDICT_SAME,    /* in one round all ways agree */
    VERDICT_MOVED,   /* a way disagrees with itself from round to round, as it would by itself */
    VERDICT_DIFFERS, /* a way says something else than the others, again and again */
};

/* values[round * ways + way], in the order of time; NULL: no row. */
enum item_verdict verdict_of(const char *const *values, size_t rounds, size_t ways);

#endif
