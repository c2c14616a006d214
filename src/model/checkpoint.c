#include "config.h"

#include "model/checkpoint.h"

#include "base/mem.h"
#include "base/num.h"
#include "model/spoolrec.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char checkpoint_title[] = "spine-checkpoint 1";

/* ---- writing ---- */

static void checkpoint_put_ids(struct buf *out, const uint32_t *ids, size_t count)
{
    buf_puts(out, "done");
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && ids[end] == ids[end - 1] + 1;)
            end++;
        buf_printf(out, " %" PRIu32, ids[i]);
        if (end > i + 1)
            buf_printf(out, "-%" PRIu32, ids[end - 1]);
    }
    buf_putc(out, '\n');
}

void checkpoint_put(struct buf *out, const struct checkpoint *c)
{
    size_t at = out->len;
    buf_printf(out, "%s\ndatabase %s\npoller %d\nstart %" PRId64 "\ninterval %d\n",
               checkpoint_title, c->database, c->poller_id, c->start_s, c->interval_s);
    if (c->has_range)
        buf_printf(out, "devices %" PRIu32 "-%" PRIu32 "\n", c->first, c->last);
    else
        buf_puts(out, "devices all\n");
    checkpoint_put_ids(out, c->ids, c->count);
    buf_printf(out, "sum %08" PRIx32 "\n", spoolrec_crc32(out->data + at, out->len - at));
}

/* ---- reading ---- */

/* The rest of the next line, which begins with this word; NULL: it does not.  The line is cut off the text. */
static char *checkpoint_line(char **text, const char *word)
{
    char *line = *text, *end = strchr(line, '\n');
    size_t len = strlen(word);
    if (end == NULL || strncmp(line, word, len) != 0 || (line[len] != ' ' && line + len != end))
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line[len] == ' ' ? line + len + 1 : line + len;
}

static bool checkpoint_number(char **text, const char *word, int64_t max, int64_t *ret)
{
    const char *line = checkpoint_line(text, word);
    return line != NULL && num_parse(line, 1, max, ret);
}

/* "A" or "A-B" with A <= B. */
static bool checkpoint_range(char *word, uint32_t *first, uint32_t *last)
{
    int64_t a, b;
    char *dash = strchr(word, '-');
    if (dash != NULL)
        *dash = '\0';
    if (!num_parse(word, 0, UINT32_MAX, &a))
        return false;
    b = a;
    if (dash != NULL && !num_parse(dash + 1, a, UINT32_MAX, &b))
        return false;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
    return true;
}

static bool checkpoint_add_ids(struct checkpoint *c, uint32_t first, uint32_t last)
{
    if ((c->count > 0 && first <= c->ids[c->count - 1]) ||
        last - first >= CHECKPOINT_DEVICES_MAX - c->count)
        return false;
    for (uint64_t id = first; id <= last; id++) {
        c->ids = mem_grow(c->ids, c->count, &c->capacity, 64, sizeof(c->ids[0]));
        c->ids[c->count++] = (uint32_t)id;
    }
    return true;
}

static bool checkpoint_get_ids(struct checkpoint *c, char *line)
{
    uint32_t first, last;
    char *save = NULL;
    if (line == NULL)
        return false;
    for (char *word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
        if (!checkpoint_range(word, &first, &last) || !checkpoint_add_ids(c, first, last))
            return false;
    return true;
}

static bool checkpoint_get_devices(struct checkpoint *c, char *line)
{
    if (line == NULL)
        return false;
    c->has_range = strcmp(line, "all") != 0;
    return !c->has_range || checkpoint_range(line, &c->first, &c->last);
}

static bool checkpoint_get_lines(struct checkpoint *c, char *text)
{
    int64_t poller, interval;
    if (checkpoint_line(&text, checkpoint_title) == NULL ||
        (c->database = checkpoint_line(&text, "database")) == NULL ||
        !checkpoint_number(&text, "poller", INT_MAX, &poller) ||
        !checkpoint_number(&text, "start", INT64_MAX / 2, &c->start_s) ||
        !checkpoint_number(&text, "interval", INT_MAX, &interval))
        return false;
    c->poller_id = (int)poller;
    c->interval_s = (int)interval;
    return checkpoint_get_devices(c, checkpoint_line(&text, "devices")) &&
           checkpoint_get_ids(c, checkpoint_line(&text, "done")) && *text == '\0';
}

/* The text without its last line, if that is right; NULL: it is not. */
static char *checkpoint_verified(const char *text, size_t len)
{
    enum { SUM_LINE = 4 + 8 + 1 };
    struct buf sum = BUF_INIT;
    char *lines = NULL;
    if (len <= SUM_LINE || len > CHECKPOINT_BYTES_MAX || memchr(text, '\0', len) != NULL)
        return NULL;
    size_t left = len - SUM_LINE;
    buf_printf(&sum, "sum %08" PRIx32 "\n", spoolrec_crc32(text, left));
    if (memcmp(text + left, buf_str(&sum), SUM_LINE) == 0) {
        lines = mem_zalloc(left + 1, 1);
        memcpy(lines, text, left);
    }
    buf_done(&sum);
    return lines;
}

bool checkpoint_get(const char *text, size_t len, struct checkpoint *ret)
{
    *ret = (struct checkpoint){.count = 0};
    ret->text = checkpoint_verified(text, len);
    bool ok = ret->text != NULL && checkpoint_get_lines(ret, ret->text);
    if (!ok)
        checkpoint_done(ret);
    return ok;
}

void checkpoint_done(struct checkpoint *c)
{
    free(c->text);
    free(c->ids);
    *c = (struct checkpoint){.count = 0};
}

/* ---- use ---- */

const char *checkpoint_objection(const struct checkpoint *c, const struct checkpoint *wanted,
                                 int64_t now_s)
{
    bool same_range = c->has_range == wanted->has_range &&
                      (!c->has_range || (c->first == wanted->first && c->last == wanted->last));
    if (strcmp(c->database, wanted->database) != 0 || c->poller_id != wanted->poller_id)
        return "it is another poller's";
    if (!same_range)
        return "it is of other devices";
    if (c->interval_s != wanted->interval_s)
        return "the interval has been changed since";
    if (now_s < c->start_s)
        return "it is from the future";
    if (now_s >= c->start_s + c->interval_s)
        return "its interval is over";
    return NULL;
}

bool checkpoint_has(const struct checkpoint *c, uint32_t id)
{
    return c->count > 0 &&
           bsearch(&id, c->ids, c->count, sizeof(c->ids[0]), num_compare_u32) != NULL;
}
