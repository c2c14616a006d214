/* The writer against a plain client that has its statements ready.
 *
 *   storebench SOCKET DATABASE USER PASSWORD plain|auto|off|auto-devices|off-devices ROWS
 *
 * Prints "SECONDS CPU_SECONDS ROWS" of storing that number of rows: `plain` by db_exec() of texts made
 * before the clock starts, the others by store_write() from batches with that DB_Bulk; results in statements of
 * 1,000, or the status and one assertion of devices 1, 2, ... in batches of 500.
 */
#include "config.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "drivers/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

enum { AT_ONCE = 1000, DEVICES_AT_ONCE = 500, TIME_LIMIT_MS = 120000 };

static double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* What a 64-bit counter of an interface looks like. */
static void value_of(uint32_t id, char *to, size_t size)
{
    snprintf(to, size, "%llu", 1000000000000ULL + (unsigned long long)id * 7919);
}

static struct batch *batch_of(uint32_t first, uint32_t count)
{
    struct batch *b = batch_new();
    char value[32];
    for (uint32_t id = first; id < first + count; id++) {
        value_of(id, value, sizeof(value));
        struct output_row row = {.local_data_id = id,
                                 .rrd_name = "traffic_in",
                                 .time = 1700000000,
                                 .output = value,
                                 .output_len = strlen(value)};
        batch_add_row(b, &row);
    }
    return b;
}

/* Every run has other figures, of the same length. */
static struct batch *devices_of(uint32_t first, uint32_t count)
{
    struct batch *b = batch_new();
    int64_t figure = 1000000 + clock_mono_us() % 8000000;
    char value[32];
    snprintf(value, sizeof(value), "%lld", (long long)figure);
    for (uint32_t id = first; id < first + count; id++) {
        double ms = (double)(figure % 1000) + 0.5;
        struct host_row host = {.device_id = id,
                                .has_status = true,
                                .has_polling_time = true,
                                .polling_time = ms / 1000,
                                .status = {.status = HOST_UP,
                                           .min_time = ms,
                                           .max_time = ms,
                                           .cur_time = ms,
                                           .avg_time = ms,
                                           .total_polls = figure,
                                           .availability = 100}};
        struct assert_row assertion = {id, 1, ".1.3.6.1.2.1.1.3.0", value};
        batch_add_host(b, &host);
        batch_add_assert(b, &assertion);
    }
    return b;
}

static char *text_of(uint32_t first, uint32_t count)
{
    struct buf sql = BUF_INIT;
    char value[32];
    buf_puts(&sql, "INSERT INTO poller_output (local_data_id,rrd_name,time,output) VALUES ");
    for (uint32_t id = first; id < first + count; id++) {
        value_of(id, value, sizeof(value));
        buf_printf(&sql, "%s(%u,'traffic_in',FROM_UNIXTIME(1700000000),'%s')",
                   id == first ? "" : ",", id, value);
    }
    buf_puts(&sql, " ON DUPLICATE KEY UPDATE output=VALUES(output)");
    return buf_take(&sql);
}

struct work {
    const struct db_params *params;
    uint32_t rows;
    bool devices;
    _Atomic int64_t deadline;
    int64_t began_us;
    double cpu;
};

static void start_clock(struct work *w)
{
    w->cpu = cpu_seconds();
    w->began_us = clock_mono_us();
}

static void stop_clock(const struct work *w, bool ok)
{
    double seconds = (double)(clock_mono_us() - w->began_us) / 1e6;
    printf("%.6f %.6f %u\n", seconds, cpu_seconds() - w->cpu, ok ? w->rows : 0);
}

static bool write_batches(struct work *w, struct err *err)
{
    struct store_outcome out;
    bool ok = true;
    uint32_t at_once = w->devices ? DEVICES_AT_ONCE : AT_ONCE, n = w->rows / at_once;
    struct store *s = store_open(w->params, w->deadline, err);
    if (s == NULL)
        return false;
    struct batch **batches = mem_zalloc(n, sizeof(struct batch *));
    for (uint32_t i = 0; i < n; i++)
        batches[i] =
            w->devices ? devices_of(1 + i * at_once, at_once) : batch_of(1 + i * at_once, at_once);
    start_clock(w);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = store_write(s, batches[i], false, &out, err);
    stop_clock(w, ok);
    for (uint32_t i = 0; i < n; i++)
        batch_free(batches[i]);
    free(batches);
    store_close(s);
    return ok;
}

static bool send_texts(struct work *w, struct err *err)
{
    bool ok = true;
    uint32_t n = w->rows / AT_ONCE;
    struct db *db = db_open(w->params, &w->deadline, err);
    if (db == NULL)
        return false;
    char **texts = mem_zalloc(n, sizeof(char *));
    for (uint32_t i = 0; i < n; i++)
        texts[i] = text_of(1 + i * AT_ONCE, AT_ONCE);
    start_clock(w);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = db_exec(db, texts[i], strlen(texts[i]), err);
    stop_clock(w, ok);
    for (uint32_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
    db_close(db);
    return ok;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    if (argc != 7)
        return EX_USAGE;
    struct db_params params = {.host = argv[1],
                               .database = argv[2],
                               .user = argv[3],
                               .password = argv[4],
                               .port = 3306,
                               .ssl_key = "",
                               .bulk =
                                   strncmp(argv[5], "auto", 4) == 0 ? DB_BULK_AUTO : DB_BULK_OFF,
                               .ssl_cert = "",
                               .ssl_ca = ""};
    struct work w = {.params = &params,
                     .rows = (uint32_t)strtoul(argv[6], NULL, 10),
                     .devices = strstr(argv[5], "-devices") != NULL,
                     .deadline = clock_mono_ms() + TIME_LIMIT_MS};
    if (!db_library_start(&err))
        return EX_OSERR;
    bool ok = strcmp(argv[5], "plain") == 0 ? send_texts(&w, &err) : write_batches(&w, &err);
    if (!ok)
        fprintf(stderr, "storebench: %s\n", err.text);
    db_library_stop();
    return ok ? EX_OK : EX_UNAVAILABLE;
}
