#include "config.h"

#include "app/status.h"

#include "base/jsonout.h"

#include <inttypes.h>

/* What the cycles of a daemon share (engine/services). */

struct shared_row {
    const char *key, *title;
    const struct services_cache *cache;
};

enum { SHARED_ROWS = 4 };

static void shared_rows(const struct services_figures *f, struct shared_row ret[SHARED_ROWS])
{
    const struct shared_row rows[SHARED_ROWS] = {{"names", "names", &f->names},
                                                 {"keys", "SNMPv3 keys", &f->keys},
                                                 {"engines", "engines", &f->engines},
                                                 {"sizes", "sizes", &f->sizes}};
    for (size_t i = 0; i < SHARED_ROWS; i++)
        ret[i] = rows[i];
}

void status_print_shared(const struct services_figures *f, struct buf *out)
{
    struct shared_row rows[SHARED_ROWS];
    shared_rows(f, rows);
    for (size_t i = 0; i < SHARED_ROWS; i++) {
        const struct services_cache *c = rows[i].cache;
        buf_printf(out,
                   "%-11s %zu of %zu, the oldest %" PRId64 " of %" PRId64 " s; found %" PRIu64
                   ", not found %" PRIu64 ", %" PRIu64 " too old, %" PRIu64 " wrong, %" PRIu64
                   " evicted\n",
                   rows[i].title, c->entries, c->most, c->oldest_s, c->keep_s, c->hits, c->misses,
                   c->aged, c->wrong, c->evicted);
    }
    buf_printf(out, "places      %zu held, %zu wait, %" PRIu64 " have waited\n", f->places_held,
               f->places_waiting, f->places_waited);
}

static void shared_put(const struct shared_row *row, struct buf *out)
{
    const struct services_cache *c = row->cache;
    jsonout_open(out, row->key, '{');
    jsonout_unsigned(out, "entries", c->entries);
    jsonout_unsigned(out, "most", c->most);
    jsonout_int(out, "keep_s", c->keep_s);
    jsonout_int(out, "oldest_s", c->oldest_s);
    jsonout_unsigned(out, "hits", c->hits);
    jsonout_unsigned(out, "misses", c->misses);
    jsonout_unsigned(out, "aged", c->aged);
    jsonout_unsigned(out, "wrong", c->wrong);
    jsonout_unsigned(out, "evicted", c->evicted);
    jsonout_close(out, '}');
}

void status_put_shared(const struct services_figures *f, struct buf *out)
{
    struct shared_row rows[SHARED_ROWS];
    shared_rows(f, rows);
    jsonout_open(out, "caches", '{');
    for (size_t i = 0; i < SHARED_ROWS; i++)
        shared_put(&rows[i], out);
    jsonout_close(out, '}');
    jsonout_open(out, "places", '{');
    jsonout_unsigned(out, "held", f->places_held);
    jsonout_unsigned(out, "waiting", f->places_waiting);
    jsonout_unsigned(out, "waited", f->places_waited);
    jsonout_close(out, '}');
}
