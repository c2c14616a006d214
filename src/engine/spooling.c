#include "config.h"

#include "engine/spooling.h"

#include "base/clock.h"
#include "base/log.h"
#include "drivers/spool.h"

static bool has_spool(const struct config *config)
{
    return config->spool_file[0] != '\0' && !config->read_only;
}

static struct spool_options options_of(const struct config *config)
{
    return (struct spool_options){.path = config->spool_file,
                                  .cap_bytes = config->spool_bytes,
                                  .database = config->db.database,
                                  .poller_id = config->poller_id,
                                  .interval_s = config->poller_interval_s};
}

void spooling_check(const struct config *config)
{
    struct err err = ERR_INIT;
    if (!has_spool(config))
        return;
    struct spool_options o = options_of(config);
    if (!spool_check(&o, &err))
        log_line(LOG_ALWAYS,
                 "WARNING: %s; rows that the database does not take would be lost. Set Spool_File "
                 "to a file that this user may write, or leave it out",
                 err.text);
}

size_t spooling_keep(const struct config *config, const struct batch *batch, size_t left)
{
    size_t kept = 0;
    struct err err = ERR_INIT;
    if (left == 0 || !has_spool(config))
        return 0;
    struct spool_options o = options_of(config);
    const struct output_row *rows = batch->rows + (batch->row_count - left);
    if (!spool_append(&o, rows, left, &kept, &err))
        log_line(LOG_ALWAYS, "ERROR: %zu of %zu rows could not be kept: %s", left - kept, left,
                 err.text);
    if (kept > 0)
        log_line(LOG_ALWAYS, "WARNING: %zu rows are kept in %s until the next run", kept, o.path);
    return kept;
}

static void spooling_report(const struct spool_report *r, size_t refused, bool stored)
{
    if (!stored)
        return; /* all of it is still in the file */
    if (r->rows > refused)
        log_line(LOG_ALWAYS, "NOTE: stored %zu rows of an earlier run", r->rows - refused);
    if (refused > 0)
        log_line(LOG_ALWAYS, "ERROR: the database refuses %zu rows of an earlier run, dropped",
                 refused);
    if (r->expired > 0)
        log_line(LOG_ALWAYS, "WARNING: dropped %zu rows of an earlier run, too old to be of use",
                 r->expired);
    if (r->damaged_bytes > 0)
        log_line(LOG_ALWAYS, "WARNING: the spool file ended with %zu damaged bytes, dropped",
                 r->damaged_bytes);
}

void spooling_restore(const struct config *config, struct store *store)
{
    struct err err = ERR_INIT;
    if (!has_spool(config))
        return;
    struct spool_options o = options_of(config);
    struct spool *spool = spool_take(&o, clock_wall_us() / 1000000, &err);
    if (spool == NULL)
        return; /* nothing is there, or spooling_check() has said why it is of no use */
    struct spool_report r;
    struct batch *b;
    size_t refused = 0;
    bool stored = true;
    while (stored && (b = spool_next(spool)) != NULL) {
        struct store_outcome out = {0};
        /* A refused row will be refused again; one that is left will not be. */
        stored = store_write(store, b, config->boost, &out, &err) || out.rows_left == 0;
        refused += out.rows_rejected;
        batch_free(b);
    }
    if (!stored)
        log_line(LOG_ALWAYS, "WARNING: rows of an earlier run stay in %s: %s", o.path, err.text);
    spool_finish(spool, stored, &r);
    spooling_report(&r, refused, stored);
}
