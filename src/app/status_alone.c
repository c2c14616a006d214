#include "config.h"

#include "app/status.h"

#include "app/configuration.h"
#include "app/run.h"
#include "app/wait.h"
#include "base/clock.h"
#include "base/jsonout.h"
#include "drivers/store_rows.h"
#include "engine/outputs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STATUS_DATABASE_MS = 2000 };

/* ---- looking ---- */

static void status_on_setting(void *arg, const char *name, const char *value)
{
    configuration_set_setting(arg, name, value);
}

/* The youngest one comes first. */
static void status_on_cycle(void *arg, const struct store_cycle *c)
{
    struct status_alone *a = arg;
    if (a->has_row)
        return;
    a->has_row = true;
    a->row_pid = c->pid;
    a->row_age_s = c->age_s;
    a->row_open = c->open;
    snprintf(a->row_start, sizeof(a->row_start), "%s", c->start);
    snprintf(a->row_end, sizeof(a->row_end), "%s", c->end);
}

static bool status_ask_database(struct config *c, struct status_alone *a, struct err *err)
{
    int64_t until = clock_mono_ms() + STATUS_DATABASE_MS;
    struct store *local = store_open(&c->db, until, err);
    bool ok = local != NULL && store_load_settings(local, c->poller_id, status_on_setting, c, err);
    const struct db_params *params = wait_database(c);
    struct store *s = !ok ? NULL : params == &c->db ? local : store_open(params, until, err);
    ok = s != NULL && store_load_cycles(s, c->poller_id, 0, status_on_cycle, a, err);
    if (s != local)
        store_close(s);
    store_close(local);
    return ok;
}

static int64_t status_get_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

void status_look(struct config *config, struct status_alone *ret)
{
    struct stat st;
    *ret = (struct status_alone){.database = ERR_INIT, .spool_bytes = -1};
    if (run_start_libraries(&ret->database)) {
        (void)status_ask_database(config, ret, &ret->database);
        run_stop_libraries();
    }
    if (*config->spool_file != '\0')
        ret->spool_bytes = status_get_size(config->spool_file);
    ret->report = outputs_path(config, config->report_file);
    if (ret->report != NULL && stat(ret->report, &st) == 0)
        ret->report_wall_s = (int64_t)st.st_mtime;
}

void status_alone_done(struct status_alone *a)
{
    free(a->report);
}

/* ---- telling ---- */

static void status_put_row(const struct status_alone *a, struct buf *out)
{
    if (!a->has_row) {
        jsonout_null(out, "last_cycle");
        return;
    }
    jsonout_open(out, "last_cycle", '{');
    jsonout_int(out, "pid", a->row_pid);
    jsonout_text(out, "start", a->row_start);
    jsonout_text(out, "end", a->row_open ? NULL : a->row_end);
    jsonout_int(out, "age_s", a->row_age_s);
    jsonout_close(out, '}');
}

void status_put_alone(const struct status_alone *a, struct buf *out)
{
    jsonout_open(out, "alone", '{');
    jsonout_text(out, "database", a->database.kind == ERR_NONE ? NULL : a->database.text);
    status_put_row(a, out);
    if (a->spool_bytes >= 0)
        jsonout_int(out, "spool_bytes", a->spool_bytes);
    else
        jsonout_null(out, "spool_bytes");
    jsonout_text(out, "report", a->report);
    if (a->report_wall_s != 0)
        jsonout_int(out, "report_written", a->report_wall_s);
    else
        jsonout_null(out, "report_written");
    jsonout_close(out, '}');
}

void status_print_alone(const struct status_alone *a, struct buf *out)
{
    if (a->database.kind != ERR_NONE)
        buf_printf(out, "database    does not answer: %s\n", a->database.text);
    else if (!a->has_row)
        buf_puts(out, "last cycle  poller_time has no row of this poller\n");
    else if (a->row_open)
        buf_printf(out, "last cycle  pid %" PRId64 ", began %s, %" PRId64 " s ago, not ended\n",
                   a->row_pid, a->row_start, a->row_age_s);
    else
        buf_printf(out, "last cycle  pid %" PRId64 ", %s to %s\n", a->row_pid, a->row_start,
                   a->row_end);
    if (a->spool_bytes >= 0)
        buf_printf(out, "spool       %" PRId64 " bytes wait for the database\n", a->spool_bytes);
    if (a->report != NULL)
        buf_printf(out, "report      %s, %s\n", a->report,
                   a->report_wall_s == 0 ? "not written yet" : "written");
}
