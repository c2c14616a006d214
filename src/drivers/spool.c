#include "config.h"

#include "drivers/spool.h"

#include "base/clock.h"
#include "base/mem.h"
#include "model/spoolrec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 1000, LOCK_LOOK_MS = 20, ROWS_AT_ONCE = 1000, READ_AT_ONCE = 256 * 1024 };

/* A file that is read from its beginning, record by record. */
struct scan {
    int fd;
    struct buf data;
    size_t at;      /* in data */
    int64_t offset; /* of data[at] in the file */
    bool end;
};

struct spool {
    struct scan scan;
    int64_t oldest; /* Unix seconds */
    struct spool_report report;
};

static bool spool_fail(struct err *err, const char *path, const char *what)
{
    return err_set_number(err, ERR_OS, errno, "spool file %s: %s: %s", path, what, strerror(errno));
}

/* ---- the file ---- */

/* flock() belongs to the open file, so threads of one process are kept apart, too. */
static bool lock_within(int fd, int64_t wait_ms)
{
    int64_t until = clock_mono_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || clock_mono_ms() >= until)
            return false;
        clock_pause_ms(LOCK_LOOK_MS); /* no call reports that a lock is given back */
    }
    return true;
}

/* -1: not to be used. */
static int spool_open_file(const struct spool_options *o, int flags, struct err *err)
{
    int fd = open(o->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
    struct stat st;
    if (fd < 0) {
        spool_fail(err, o->path, "cannot be opened");
        return -1;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    err_set(err, ERR_OS, "spool file %s: not a regular file", o->path);
    close(fd);
    return -1;
}

/* Only what is known to be a spool is changed, its mode included: the path may name another file.
 * */
static bool keep_private(int fd, const struct spool_options *o, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & 077) == 0)
        return true;
    return fchmod(fd, 0600) == 0 ||
           spool_fail(err, o->path, "others may read it, and its mode cannot be changed");
}

static int64_t file_size(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* ---- reading ---- */

static void scan_done(struct scan *s)
{
    buf_done(&s->data);
}

static void scan_skip(struct scan *s, size_t size)
{
    s->at += size;
    s->offset += (int64_t)size;
}

/* Have more behind data[at].  false: there is no more. */
static bool scan_fill(struct scan *s)
{
    if (s->end)
        return false;
    size_t left = s->data.len - s->at;
    if (s->at > 0 && left > 0)
        memmove(s->data.data, s->data.data + s->at, left);
    buf_truncate(&s->data, left);
    s->at = 0;
    buf_reserve(&s->data, READ_AT_ONCE);
    ssize_t n;
    do
        n = read(s->fd, s->data.data + left, READ_AT_ONCE);
    while (n < 0 && errno == EINTR);
    s->end = n <= 0;
    if (s->end)
        return false;
    s->data.len += (size_t)n;
    s->data.data[s->data.len] = '\0';
    return true;
}

static enum spoolrec_result scan_row(struct scan *s, struct spoolrec_row *ret)
{
    size_t size;
    for (;;) {
        enum spoolrec_result r =
            spoolrec_get_row(s->data.data + s->at, s->data.len - s->at, ret, &size);
        if (r == SPOOLREC_OK)
            scan_skip(s, size);
        if (r != SPOOLREC_MORE || !scan_fill(s))
            return r;
    }
}

/* Does it belong to this poller and database?  An empty file, or one cut within its header, can be
 * used by any poller: *ret_empty.
 * */
static bool scan_header(struct scan *s, const struct spool_options *o, bool *ret_empty,
                        int64_t *ret_interval_s, struct err *err)
{
    struct spoolrec_header h;
    size_t size;
    enum spoolrec_result r;
    buf_reserve(&s->data, 1);
    do
        r = spoolrec_get_header(s->data.data, s->data.len, &h, &size);
    while (r == SPOOLREC_MORE && scan_fill(s));
    *ret_empty = r == SPOOLREC_MORE;
    if (*ret_empty)
        return true;
    if (r == SPOOLREC_DAMAGED)
        return err_set(err, ERR_OS, "spool file %s: not a spool file, or damaged; it is left alone",
                       o->path);
    if (h.poller_id != o->poller_id || h.database_len != strlen(o->database) ||
        memcmp(h.database, o->database, h.database_len) != 0)
        return err_set(err, ERR_OS,
                       "spool file %s: belongs to poller %d and database %.*s; it is left alone",
                       o->path, (int)h.poller_id, (int)(h.database_len < 64 ? h.database_len : 64),
                       h.database);
    *ret_interval_s = h.interval_s;
    scan_skip(s, size);
    return true;
}

/* ---- writing ---- */

/* Where the next record goes: behind the last good one, or 0. */
static bool find_end(int fd, const struct spool_options *o, int64_t *ret_end, struct err *err)
{
    struct scan s = {.fd = fd, .data = BUF_INIT};
    struct spoolrec_row row;
    bool empty;
    int64_t interval_s;
    bool ok = scan_header(&s, o, &empty, &interval_s, err);
    while (ok && !empty && scan_row(&s, &row) == SPOOLREC_OK)
        ;
    *ret_end = ok && !empty ? s.offset : 0;
    scan_done(&s);
    return ok;
}

static bool write_at(int fd, int64_t at, const struct buf *data)
{
    size_t done = 0;
    while (done < data->len) {
        ssize_t n = pwrite(fd, data->data + done, data->len - done, (off_t)at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* The rows for which there is room, as bytes. */
static size_t encode(const struct spool_options *o, int64_t end, const struct output_row *rows,
                     size_t count, struct buf *out)
{
    struct spoolrec_header header = {.database = o->database,
                                     .database_len = strlen(o->database),
                                     .poller_id = o->poller_id,
                                     .interval_s = (uint32_t)o->interval_s};
    if (end == 0)
        spoolrec_put_header(out, &header);
    for (size_t i = 0; i < count; i++) {
        size_t before = out->len;
        if (spoolrec_put_row(out, &rows[i]) == 0 || end + (int64_t)out->len > o->cap_bytes) {
            buf_truncate(out, before);
            return i;
        }
    }
    return count;
}

bool spool_append(const struct spool_options *o, const struct output_row *rows, size_t count,
                  size_t *ret_kept, struct err *err)
{
    struct buf data = BUF_INIT;
    int64_t end;
    bool ok = false;
    *ret_kept = 0;
    int fd = spool_open_file(o, O_CREAT, err);
    if (fd < 0)
        return false;
    if (!lock_within(fd, LOCK_WAIT_MS)) {
        err_set(err, ERR_OS, "spool file %s: another process uses it", o->path);
        goto out;
    }
    if (!find_end(fd, o, &end, err) || !keep_private(fd, o, err))
        goto out;
    size_t kept = encode(o, end, rows, count, &data);
    if (kept == 0 && count > 0) {
        err_set(err, ERR_OS, "spool file %s: full (%lld bytes)", o->path, (long long)o->cap_bytes);
        goto out;
    }
    if (ftruncate(fd, (off_t)end) != 0 || !write_at(fd, end, &data)) {
        spool_fail(err, o->path, "cannot be written");
        if (ftruncate(fd, (off_t)end) != 0)
            (void)errno; /* the half record at its end is found by its checksum */
        goto out;
    }
    *ret_kept = kept;
    ok = kept == count ||
         err_set(err, ERR_OS, "spool file %s: full (%lld bytes)", o->path, (long long)o->cap_bytes);
out:
    buf_done(&data);
    close(fd); /* gives the lock back */
    return ok;
}

bool spool_check(const struct spool_options *o, struct err *err)
{
    if (access(o->path, F_OK) == 0) {
        int64_t end;
        int fd = spool_open_file(o, 0, err);
        bool ok = fd >= 0 && find_end(fd, o, &end, err);
        if (fd >= 0)
            close(fd);
        return ok;
    }
    char *folder = mem_strdup(o->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0'; /* "/name" lies in "/" */
    bool ok = access(slash == NULL ? "." : folder, W_OK | X_OK) == 0 ||
              spool_fail(err, o->path, "cannot be created");
    free(folder);
    return ok;
}

/* ---- giving back ---- */

struct spool *spool_take(const struct spool_options *o, int64_t now_unix_s, struct err *err)
{
    if (access(o->path, F_OK) != 0 && errno == ENOENT)
        return NULL;
    int fd = spool_open_file(o, 0, err);
    if (fd < 0)
        return NULL;
    struct spool *s = mem_zalloc(1, sizeof(*s));
    bool empty = true;
    int64_t interval_s = 0;
    s->scan.fd = fd;
    if (file_size(fd) == 0 || !lock_within(fd, 0) ||
        !scan_header(&s->scan, o, &empty, &interval_s, err) || empty || !keep_private(fd, o, err)) {
        spool_finish(s, false, NULL);
        return NULL;
    }
    s->oldest = now_unix_s - 2 * interval_s;
    return s;
}

struct batch *spool_next(struct spool *s)
{
    struct batch *b = batch_new();
    struct spoolrec_row row;
    while (b->row_count < ROWS_AT_ONCE && scan_row(&s->scan, &row) == SPOOLREC_OK) {
        if (row.time < s->oldest) {
            s->report.expired++;
            continue;
        }
        char *name = mem_strndup(row.name, row.name_len);
        struct output_row output = {.local_data_id = row.local_data_id,
                                    .rrd_name = name,
                                    .time = row.time,
                                    .output = row.output,
                                    .output_len = row.output_len};
        batch_add_row(b, &output);
        free(name);
    }
    s->report.rows += b->row_count;
    if (b->row_count > 0)
        return b;
    batch_free(b);
    s->report.damaged_bytes = (size_t)(file_size(s->scan.fd) - s->scan.offset);
    return NULL;
}

void spool_finish(struct spool *s, bool stored, struct spool_report *ret)
{
    if (s == NULL)
        return;
    if (stored && ftruncate(s->scan.fd, 0) != 0)
        (void)errno; /* stored once more next time, which changes nothing */
    if (ret != NULL)
        *ret = s->report;
    scan_done(&s->scan);
    close(s->scan.fd);
    free(s);
}
