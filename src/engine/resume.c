#include "config.h"

#include "engine/resume.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "drivers/wholefile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With less time it is not worth while; and this is how many devices are named. */
enum { RESUME_LEAST_MS = 1000, RESUME_NAMED_MAX = 20 };

/* ---- the file ---- */

/* A run by hand of some devices, or one that stores nothing, is not the cycle of an interval. */
static bool resume_applies(const struct config *cf)
{
    return cf->command == COMMAND_POLL && !cf->read_only && !cf->ping_only && !cf->has_host_list &&
           cf->checkpoint_file != NULL && (*cf->checkpoint_file != '\0' || *cf->spool_file != '\0');
}

/* Each of several processes has its own. */
static void resume_put_path(const struct config *cf, struct buf *path)
{
    bool named = *cf->checkpoint_file != '\0';
    buf_printf(path, "%s%s.%d", named ? cf->checkpoint_file : cf->spool_file,
               named ? "" : ".checkpoint", cf->poller_id);
    if (cf->has_range)
        buf_printf(path, ".%" PRIu32 "-%" PRIu32, cf->first, cf->last);
}

static struct checkpoint resume_make(const struct config *cf)
{
    return (struct checkpoint){.database = cf->db.database,
                               .poller_id = cf->poller_id,
                               .interval_s = cf->poller_interval_s,
                               .has_range = cf->has_range,
                               .first = cf->first,
                               .last = cf->last};
}

static bool resume_read(const char *path, struct checkpoint *ret, bool *ret_there, struct err *err)
{
    struct buf text = BUF_INIT;
    bool ok = wholefile_read(path, CHECKPOINT_BYTES_MAX, &text, err);
    *ret_there = !ok || text.len > 0;
    if (ok && text.len > 0 && !checkpoint_get(text.data, text.len, ret))
        ok = err_set(err, ERR_CONFIG, "%s is damaged, or no checkpoint", path);
    buf_done(&text);
    return ok;
}

static void resume_forget(const struct config *cf)
{
    struct buf path = BUF_INIT;
    struct checkpoint found = {.count = 0};
    bool there;
    resume_put_path(cf, &path);
    if (resume_read(buf_str(&path), &found, &there, NULL) && there)
        (void)unlink(buf_str(&path));
    checkpoint_done(&found);
    buf_done(&path);
}

/* ---- the begin ---- */

static int64_t resume_mono_ms(const struct checkpoint *found)
{
    return clock_mono_ms() - (clock_wall_us() / 1000 - found->start_s * 1000);
}

static const char *resume_objection(const struct config *cf, const struct checkpoint *found)
{
    const struct checkpoint wanted = resume_make(cf);
    const char *why = checkpoint_objection(found, &wanted, clock_wall_us() / 1000000);
    if (why != NULL)
        return why;
    struct budget b = budget_make(resume_mono_ms(found), cf->poller_interval_s);
    return b.poll_until < clock_mono_ms() + RESUME_LEAST_MS ? "its interval is nearly over" : NULL;
}

static void resume_look(const struct config *cf, const char *path, struct checkpoint *ret)
{
    struct err err = ERR_INIT;
    const char *why = NULL;
    bool there;
    if (!resume_read(path, ret, &there, &err))
        why = err.text;
    else if (!there)
        why = "there is no such file";
    else
        why = resume_objection(cf, ret);
    if (why == NULL) {
        log_line(LOG_ALWAYS, "NOTE: An interrupted cycle is resumed: %zu devices are done (%s)",
                 ret->count, path);
        return;
    }
    log_line(LOG_ALWAYS, "WARNING: Nothing is resumed from %s, all devices are polled: %s", path,
             why);
    checkpoint_done(ret);
}

int64_t resume_begin(const struct config *cf, int64_t started_mono_ms, struct checkpoint *ret)
{
    struct buf path = BUF_INIT;
    *ret = (struct checkpoint){.count = 0};
    if (!resume_applies(cf)) {
        if (cf->resume)
            log_line(LOG_ALWAYS, "WARNING: Nothing is resumed: that needs Checkpoint_File or "
                                 "Spool_File, and is for whole cycles only");
        return started_mono_ms;
    }
    if (cf->resume) {
        resume_put_path(cf, &path);
        resume_look(cf, buf_str(&path), ret);
        buf_done(&path);
    } else {
        resume_forget(cf);
    }
    return ret->database == NULL ? started_mono_ms : resume_mono_ms(ret);
}

void resume_skip(const struct checkpoint *resumed, struct roster *roster)
{
    size_t kept = 0;
    for (size_t i = 0; i < roster->count; i++)
        if (!checkpoint_has(resumed, roster->entries[i].id))
            roster->entries[kept++] = roster->entries[i];
    roster->count = kept;
}

/* ---- the end ---- */

/* Some of the devices that are not done, for a person; returns how many there are. */
static size_t resume_name_rest(const struct cycle *c, struct buf *names)
{
    size_t rest = 0;
    for (size_t i = 0; i < c->roster.count; i++) {
        const struct roster_entry *e = &c->roster.entries[i];
        if (e->deleted || c->advance[i])
            continue;
        if (rest < RESUME_NAMED_MAX)
            buf_printf(names, "%s%" PRIu32, rest == 0 ? "" : ", ", e->id);
        else if (rest == RESUME_NAMED_MAX)
            buf_puts(names, ", ...");
        rest++;
    }
    return rest;
}

/* Those of the cycle that was resumed, too. */
static void resume_collect(const struct cycle *c, struct checkpoint *done)
{
    done->ids = mem_zalloc(c->resumed.count + c->roster.count + 1, sizeof(done->ids[0]));
    for (size_t i = 0; i < c->resumed.count; i++)
        done->ids[done->count++] = c->resumed.ids[i];
    for (size_t i = 0; i < c->roster.count; i++)
        if (c->advance[i])
            done->ids[done->count++] = c->roster.entries[i].id;
    qsort(done->ids, done->count, sizeof(done->ids[0]), num_compare_u32);
}

static bool resume_write(const struct cycle *c, struct err *err)
{
    struct buf path = BUF_INIT, text = BUF_INIT;
    struct checkpoint done = resume_make(c->config);
    int64_t start_mono_ms = c->budget.stale_from - (int64_t)c->config->poller_interval_s * 1000;
    int64_t ago_ms = clock_mono_ms() - start_mono_ms;
    done.start_s =
        c->resumed.database != NULL ? c->resumed.start_s : (clock_wall_us() / 1000 - ago_ms) / 1000;
    resume_collect(c, &done);
    checkpoint_put(&text, &done);
    resume_put_path(c->config, &path);
    bool ok = text.len > CHECKPOINT_BYTES_MAX
                  ? err_set(err, ERR_CONFIG, "%s would be too large", buf_str(&path))
                  : wholefile_write(buf_str(&path), 0600, text.data, text.len, err);
    free(done.ids);
    buf_done(&text);
    buf_done(&path);
    return ok;
}

/* What was stored of a device is not known where rows were lost.  Those that the server refuses would be refused again. */
static bool resume_is_possible(struct cycle *c, struct err *err)
{
    struct ledger_figures f = ledger_get(&c->ledger);
    if (!resume_applies(c->config))
        return err_set(err, ERR_CONFIG, "it keeps no checkpoint (Checkpoint_File)");
    return f.lost <= f.rejected || err_set(err, ERR_CONFIG, "rows were lost");
}

static void resume_interrupt(struct cycle *c)
{
    struct err why = ERR_INIT;
    struct buf names = BUF_INIT;
    size_t rest = resume_name_rest(c, &names);
    int64_t left_s = (c->budget.poll_until - clock_mono_ms()) / 1000;
    if (rest > 0 && resume_is_possible(c, &why) && resume_write(c, &why))
        log_line(LOG_ALWAYS,
                 "WARNING: The cycle was interrupted: %zu of %zu devices are unfinished (%s); "
                 "--resume polls them within the next %" PRId64 " s",
                 rest, c->roster.count, buf_str(&names), left_s > 0 ? left_s : 0);
    else if (rest > 0)
        log_line(LOG_ALWAYS,
                 "WARNING: The cycle was interrupted: %zu of %zu devices are unfinished (%s); "
                 "--resume would poll all: %s",
                 rest, c->roster.count, buf_str(&names), why.text);
    buf_done(&names);
}

void resume_end(struct cycle *c)
{
    const struct config *cf = c->config;
    if (c->stop_signal != 0 && c->loaded)
        resume_interrupt(c);
    else if (c->stop_signal == 0 && cf->resume && resume_applies(cf))
        resume_forget(cf);
}
