/* drivers/script_private.h - what a script's output is worth, for script.c and for tests without a process. */
#ifndef SPINE_DRIVERS_SCRIPT_PRIVATE_H
#define SPINE_DRIVERS_SCRIPT_PRIVATE_H

#include "core/child.h"
#include "drivers/script.h"

struct script_terms {
    size_t output_cap; /* one byte more is kept in the report */
    bool count_lines;
    bool cycle_bound; /* the cycle's deadline comes before the time-out */
};

struct script_worth {
    enum script_outcome outcome;
    size_t len; /* of the report's output that may be used */
    bool cut;   /* more was printed than may be used, and it is not the lines that count */
};

struct script_worth script_weigh(const struct script_terms *t, const struct child_report *r);

#endif
