/* app/findings.h - what a check has found: one line for each thing, with a verdict and what to do.
 *
 * Why:     text and JSON say the same, and the exit status follows from both.
 * Use:     struct findings f = FINDINGS_INIT;
 *          findings_add(&f, FINDING_WARN, "log", remedy, "%s is a directory", path);
 *          findings_print(&f, stdout);
 *          status = findings_worst(&f);
 *          findings_done(&f);
 * Threads: any, one at a time for each.
 * Owns:    copies of all texts.
 * Promise: a finding is one line, whatever its texts hold; the order is that of adding.
 */
#ifndef SPINE_APP_FINDINGS_H
#define SPINE_APP_FINDINGS_H

#include "base/buf.h"
#include "base/compiler.h"

#include <stddef.h>
#include <stdio.h>

/* Also the exit status that the worst one gives. */
enum verdict { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct finding {
    enum verdict verdict;
    const char *name; /* of the check, a constant */
    char *text;
    char *remedy; /* NULL: there is nothing to do, or the text says it */
};

struct findings {
    struct finding *all;
    size_t count;
};

#define FINDINGS_INIT                                                                              \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

void findings_done(struct findings *f);
/* remedy: NULL or what to do. */
void findings_add(struct findings *f, enum verdict verdict, const char *name, const char *remedy,
                  const char *fmt, ...) PRINTF(5, 6);
/* Appends all of `from`, which is empty afterwards. */
void findings_take(struct findings *f, struct findings *from);
enum verdict findings_worst(const struct findings *f);

void findings_print(const struct findings *f, FILE *out);
/* As an array of objects, under that key. */
void findings_json(const struct findings *f, const char *key, struct buf *out);

#endif
