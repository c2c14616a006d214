/* Any output of a script that ends in any way: what is used of it is the beginning that was certainly finished, and no
 * value depends on a word of which the rest was not kept.
 *
 * Input: cap, end, options, then the output. */
#include "config.h"

#include "fuzz.h"

#include "model/value.h"

#include "../../src/drivers/script_private.h"

#include <ctype.h>

enum { COUNT_LINES = 1, CYCLE_BOUND = 2, OUTPUT_ENDED = 4 };

struct story {
    struct script_terms terms;
    struct child_report report;
    const char *printed;
    size_t len;
};

static bool cancelled(const struct story *s)
{
    return s->report.end == CHILD_STOPPED ||
           (s->report.end == CHILD_OVERDUE && s->terms.cycle_bound);
}

static void check_outcome(const struct story *s, const struct script_worth *w)
{
    bool cut_off = s->report.end == CHILD_OVERDUE && !s->report.output_ended;
    bool late = s->report.end == CHILD_OVERDUE && !s->terms.cycle_bound;
    bool left = s->report.end == CHILD_LEFT_OPEN;
    CHECK((w->outcome == SCRIPT_FLOODED) == (s->report.end == CHILD_FLOODED));
    CHECK((w->outcome == SCRIPT_CANCELLED) == cancelled(s));
    CHECK(w->outcome != SCRIPT_EMPTY || s->len == 0);
    CHECK(w->outcome != SCRIPT_TIMED_OUT || late || (left && s->terms.count_lines));
    if (w->outcome != SCRIPT_OUTPUT)
        return;
    CHECK(s->len > 0);
    CHECK(!s->terms.count_lines || !(cut_off || left)); /* or lines may be missing */
    CHECK(!cut_off || (w->len > 0 && s->printed[w->len - 1] == '\n'));
}

static void check_length(const struct story *s, const struct script_worth *w)
{
    size_t cap = s->terms.output_cap;
    CHECK(w->len <= s->len && w->len <= cap + 1);
    CHECK(w->len <= cap || isspace((unsigned char)s->printed[cap]));
    CHECK(!w->cut || (s->len > cap && !s->terms.count_lines));
    if (s->len <= cap && s->report.end == CHILD_BY_ITSELF)
        CHECK(w->len == s->len && !w->cut);
}

static void normalise(const struct story *s, const struct script_worth *w, const char *more,
                      struct buf *ret)
{
    struct buf text = BUF_INIT;
    buf_append(&text, s->printed, w->len);
    buf_puts(&text, more);
    if (w->cut)
        (void)value_normalise_cut(buf_str(&text), text.len, ret);
    else
        (void)value_normalise(buf_str(&text), text.len, ret);
    buf_done(&text);
}

/* A number whose digits go on behind the cut is not known. */
static void check_value(const struct story *s, const struct script_worth *w)
{
    struct buf one = BUF_INIT, two = BUF_INIT;
    normalise(s, w, "", &one);
    CHECK(one.len > 0);
    if (w->cut && w->len > 0 && isdigit((unsigned char)s->printed[w->len - 1])) {
        normalise(s, w, "7", &two);
        CHECK(strcmp(one.data, two.data) == 0);
    }
    buf_done(&one);
    buf_done(&two);
}

static uint64_t count_lines(const char *text, size_t len)
{
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct story s = {.terms = {.output_cap = 1 + feed_byte(&f) % 32}};
    s.report.end = (enum child_end)(feed_byte(&f) % (CHILD_STOPPED + 1));
    uint8_t options = feed_byte(&f);
    s.terms.count_lines = (options & COUNT_LINES) != 0;
    s.terms.cycle_bound = (options & CYCLE_BOUND) != 0;
    s.report.output_ended = (options & OUTPUT_ENDED) != 0;
    s.len = f.left;
    s.printed = f.left > 0 ? (const char *)f.at : "";

    struct buf kept = BUF_INIT; /* as core/child keeps it */
    buf_append(&kept, s.printed, s.len < s.terms.output_cap + 1 ? s.len : s.terms.output_cap + 1);
    s.report.output = buf_str(&kept);
    s.report.len = kept.len;
    s.report.bytes = s.len;
    s.report.lines = count_lines(s.printed, s.len);

    const struct script_worth w = script_weigh(&s.terms, &s.report);
    check_length(&s, &w);
    check_outcome(&s, &w);
    if (w.outcome == SCRIPT_OUTPUT)
        check_value(&s, &w);
    buf_done(&kept);
    return 0;
}
