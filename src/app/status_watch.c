#include "config.h"

#include "app/status.h"

#include "base/jsonout.h"

#include <inttypes.h>

static const char *status_watch_way(enum filewatch_way way)
{
    switch (way) {
    case FILEWATCH_BY_KERNEL: return "kernel";
    case FILEWATCH_BY_LOOKING: return "poll";
    case FILEWATCH_NOT: return "none";
    }
    return "none";
}

void status_put_watch(const struct snapshot_figures *f, struct buf *out)
{
    jsonout_open(out, "configuration", '{');
    jsonout_text(out, "watched_by", status_watch_way(f->watch.way));
    jsonout_text(out, "not_by_kernel", f->watch.why);
    jsonout_unsigned(out, "changes", f->watch.changes);
    jsonout_unsigned(out, "reloads", f->watch.reports);
    jsonout_unsigned(out, "overflows", f->watch.overflows);
    jsonout_unsigned(out, "errors", f->watch.errors);
    jsonout_unsigned(out, "adopted", f->adopted);
    jsonout_unsigned(out, "refused", f->refused);
    if (f->last_adopted_wall_s != 0)
        jsonout_int(out, "last_adopted", f->last_adopted_wall_s);
    else
        jsonout_null(out, "last_adopted");
    jsonout_text(out, "not_used", f->trouble);
    jsonout_close(out, '}');
}

void status_print_watch(const struct snapshot_figures *f, struct buf *out)
{
    buf_printf(out,
               "file watch  by %s%s%s: %" PRIu64 " reloads from %" PRIu64 " changes, %" PRIu64
               " adopted, %" PRIu64 " refused; %" PRIu64 " overflows, %" PRIu64 " errors\n",
               status_watch_way(f->watch.way), f->watch.why == NULL ? "" : ", ",
               f->watch.why == NULL ? "" : f->watch.why, f->watch.reports, f->watch.changes,
               f->adopted, f->refused, f->watch.overflows, f->watch.errors);
    if (f->trouble != NULL)
        buf_printf(out, "file        is not used as it is now: %s\n", f->trouble);
}
