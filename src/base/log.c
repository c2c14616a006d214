#include "config.h"

#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/lastword.h"
#include "base/mem.h"
#include "base/scope.h"
#include "base/thr.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 65536 /* newline included, docs/contract.md 3.6 */
#define KEPT_LINES 200

struct line {
    enum log_level level;
    time_t when;
    uintptr_t thread;
    const char *text;
    bool shown; /* a person has seen it on a terminal */
};

/* Lines that wait until it is known where they go; the prefix is made then, because the poller id
 * is not known earlier either. */
struct kept {
    struct line lines[KEPT_LINES];
    size_t count;
    size_t lost;
};

struct log {
    struct thr_mutex lock;
    atomic_int threshold;       /* options.level, read without the lock */
    int out, err;               /* standard output and error, or what the scope was given */
    struct log_options options; /* .path is owned */
    bool out_is_terminal, err_is_terminal;
    bool reader_stuck; /* of standard output or error */
    bool progress_shown, progress_over;
    int64_t start_us;
    int fd;
    dev_t dev;
    ino_t ino;
    bool torn; /* the last write was cut short, so a line end is missing */
    bool notice_given;
    bool syslog_open;
    time_t stamp_second;
    char stamp[64];
    struct kept kept;
};

#define LOG_FIRST_OPTIONS                                                                          \
    {                                                                                              \
        .level = LOG_ALWAYS, .destination = LOG_TO_FILE, .date_separator = '/', .poller_id = 1     \
    }

static struct log log_of_process = {.lock = THR_MUTEX_INITIALIZER,
                                    .threshold = LOG_ALWAYS,
                                    .out = STDOUT_FILENO,
                                    .err = STDERR_FILENO,
                                    .options = LOG_FIRST_OPTIONS,
                                    .fd = -1,
                                    .stamp_second = -1};

static struct log *log_here(void)
{
    struct log *l = scope_part(SCOPE_LOG);
    return l != NULL ? l : &log_of_process;
}

/* ---- text ---- */

static bool log_is_control(unsigned char c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* C0, DEL and C1 controls (the latter as bytes of their own and in UTF-8) become blanks, so that
 * neither a line nor an escape sequence can be forged; "<?" gets a blank, because Cacti's log may
 * lie below a web root (docs/contract.md 3.6).  A byte that is not UTF-8 is a character of ISO 8859-1, as in
 * the database: a line that is not UTF-8 is an empty one in Cacti's log viewer.  Line ends at the end of the text are dropped. */
static void append_clean(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    buf_reserve(out, len);
    const unsigned char *p = (const unsigned char *)text, *end = p + len;
    while (p < end) {
        size_t n = utf8_length(p, (size_t)(end - p));
        if (n > 1) {
            if (p[0] == 0xc2 && p[1] < 0xa0)
                buf_putc(out, ' ');
            else
                buf_append(out, p, n);
            p += n;
            continue;
        }
        if (*p == '?' && out->len > 0 && out->data[out->len - 1] == '<')
            buf_putc(out, ' ');
        utf8_put_latin1(out, log_is_control(*p) ? ' ' : *p);
        p++;
    }
}

/* Cut to what a line may hold, at a character, and end it. */
static void finish_line(struct buf *b)
{
    if (b->len > LINE_BYTES - 1) {
        buf_truncate(b, utf8_cut(b->data, LINE_BYTES - 4));
        buf_puts(b, "...");
    }
    buf_putc(b, '\n');
}

static const char *log_stamp(struct log *l, time_t when)
{
    if (when == l->stamp_second)
        return l->stamp;
    struct tm tm;
    if (localtime_r(&when, &tm) == NULL)
        memset(&tm, 0, sizeof(tm));
    char s = l->options.date_separator;
    snprintf(l->stamp, sizeof(l->stamp), "%04d%c%02d%c%02d %02d:%02d:%02d", tm.tm_year + 1900, s,
             tm.tm_mon + 1, s, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    l->stamp_second = when;
    return l->stamp;
}

static void render(struct log *l, struct buf *out, const struct line *line)
{
    buf_printf(out, "%s - SPINE: Poller[%d] PID[%ld] PT[%ju] %s", log_stamp(l, line->when),
               l->options.poller_id, (long)(l->options.pid != 0 ? l->options.pid : getpid()),
               (uintmax_t)line->thread, line->text);
    finish_line(out);
}

static bool is_error(const char *text)
{
    return strstr(text, "ERROR") != NULL || strstr(text, "FATAL") != NULL;
}

static bool is_warning(const char *text)
{
    return strstr(text, "WARNING") != NULL;
}

/* ---- destinations; all with the lock held ---- */

enum { READER_WAIT_MS = 1000 };

/* The reader may have stopped (a pager, a stopped terminal): a line waits a second for room,
 * then it is dropped, and the next ones do not wait until there is room again.  Logging must never
 * delay polling. */
static void print_to(struct log *l, int fd, const struct buf *b)
{
    for (size_t at = 0; fd >= 0 && at < b->len;) {
        struct pollfd pfd = {.fd = fd, .events = POLLOUT};
        if (poll(&pfd, 1, l->reader_stuck ? 0 : READER_WAIT_MS) == 0) {
            l->reader_stuck = true;
            return;
        }
        l->reader_stuck = false;
        size_t piece = b->len - at < PIPE_BUF ? b->len - at : PIPE_BUF;
        ssize_t n = write(fd, b->data + at, piece); /* has room for PIPE_BUF: cannot block */
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (n > 0)
            at += (size_t)n;
    }
}

/* The progress line gives way to what is printed, and only to a terminal that takes it at once. */
static void log_put_progress(struct log *l, const char *text)
{
    struct pollfd pfd = {.fd = l->err, .events = POLLOUT};
    struct buf b = BUF_INIT;
    if (l->err >= 0 && poll(&pfd, 1, 0) == 1) {
        buf_printf(&b, "\r%s\033[K", text);
        print_to(l, l->err, &b);
        l->progress_shown = *text != '\0';
    }
    buf_done(&b);
}

static void print(struct log *l, int fd, const struct buf *b)
{
    if (l->progress_shown)
        log_put_progress(l, "");
    if (fd == STDOUT_FILENO)
        fflush(stdout); /* what others have printed */
    print_to(l, fd, b);
}

static void to_stdout(struct log *l, const struct line *line)
{
    struct buf b = BUF_INIT;
    double seconds = (double)(clock_mono_us() - l->start_us) / 1e6;
    buf_printf(&b, "Total[%3.4f] %s", l->start_us == 0 ? 0.0 : seconds, line->text);
    finish_line(&b);
    print(l, l->out, &b);
    buf_done(&b);
}

static bool to_console(struct log *l, const struct buf *rendered, const char *text)
{
    bool error = is_error(text) || is_warning(text);
    bool to_journal = l->options.destination == LOG_TO_JOURNAL;
    bool to_stderr = l->options.destination == LOG_TO_STDERR || to_journal;
    if (!to_journal &&
        !(error ? to_stderr || l->err_is_terminal : !to_stderr && l->out_is_terminal))
        return false;
    print(l, error || to_journal ? l->err : l->out, rendered);
    return true;
}

/* The last line goes to the destination in use now, of the process. */
static void aim_lastword(struct log *l, int fd)
{
    if (l != &log_of_process)
        return;
    if (l->options.destination == LOG_TO_STDOUT)
        fd = STDOUT_FILENO;
    lastword_aim(l->options.level == LOG_NONE ? -1 : fd, l->options.date_separator,
                 l->options.poller_id);
}

static void log_close_file(struct log *l)
{
    aim_lastword(l, -1);
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    l->torn = false;
}

/* Once, for a person who started the program by hand. */
static void give_notice(struct log *l, const char *what, int number)
{
    if (l->notice_given)
        return;
    l->notice_given = true;
    struct buf b = BUF_INIT;
    buf_printf(&b, "ERROR: Spine Log File %s: %s: %s; errors and warnings go to the system log\n",
               what, l->options.path, strerror(number));
    print(l, l->err, &b);
    buf_done(&b);
}

/* Non-blocking, because the path may name a FIFO without a reader. */
static bool log_open_file(struct log *l)
{
    struct stat st;
    if (l->fd >= 0) {
        if (stat(l->options.path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
            return true;
        log_close_file(l);
    }
    l->fd = open(l->options.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                 0640);
    if (l->fd >= 0 && fstat(l->fd, &st) == 0) {
        l->dev = st.st_dev;
        l->ino = st.st_ino;
        aim_lastword(l, l->fd);
        return true;
    }
    give_notice(l, "Could Not Be Opened/Created", errno);
    log_close_file(l);
    return false;
}

/* false: the line is not in the file. */
static bool to_file(struct log *l, const struct buf *rendered)
{
    if (!log_open_file(l))
        return false;
    struct buf whole = BUF_INIT;
    if (l->torn)
        buf_putc(&whole, '\n');
    buf_append(&whole, rendered->data, rendered->len);
    ssize_t n;
    do {
        n = write(l->fd, whole.data, whole.len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        give_notice(l, "Could Not Be Written", errno);
    else
        l->torn = (size_t)n < whole.len;
    buf_done(&whole);
    return n > 0;
}

static void send_syslog(struct log *l, int priority, const struct buf *rendered)
{
    if (!l->syslog_open)
        openlog("Cacti", LOG_PID, LOG_SYSLOG);
    l->syslog_open = true;
    syslog(priority, "%.*s", (int)rendered->len - 1, rendered->data);
}

/* Each class is tested by itself, so a line can be sent twice (docs/contract.md 3.3). */
static void to_syslog(struct log *l, const struct buf *rendered, const char *text,
                      const struct log_options *o)
{
    if (o->syslog_errors && is_error(text))
        send_syslog(l, LOG_CRIT, rendered);
    if (o->syslog_warnings && is_warning(text))
        send_syslog(l, LOG_WARNING, rendered);
    if (o->syslog_stats && strstr(text, "STATS") != NULL)
        send_syslog(l, LOG_NOTICE, rendered);
}

static bool wants_file(struct log *l)
{
    enum log_destination d = l->options.destination;
    return (d == LOG_TO_FILE || d == LOG_TO_BOTH) && l->options.level != LOG_NONE;
}

/* Under Cacti standard error has no reader: what went wrong must not vanish with the file. */
static void to_syslog_instead(struct log *l, const struct buf *rendered, const char *text)
{
    static const struct log_options all = {.syslog_errors = true, .syslog_warnings = true};
    to_syslog(l, rendered, text, &all);
}

/* To the file and the system log, as far as they are wanted. */
static void to_destinations(struct log *l, const struct buf *rendered, const char *text)
{
    const struct log_options *o = &l->options;
    bool lost = wants_file(l) && !to_file(l, rendered);
    if (lost)
        to_syslog_instead(l, rendered, text);
    else if (o->destination == LOG_TO_BOTH || o->destination == LOG_TO_SYSLOG)
        to_syslog(l, rendered, text, o);
}

static bool passes(struct log *l, enum log_level level)
{
    return level <= LOG_ALWAYS || (int)level <= (int)l->options.level;
}

/* ---- lines kept until the destination is known ---- */

static void log_keep(struct log *l, const struct line *line)
{
    struct kept *k = &l->kept;
    if (k->count == KEPT_LINES) {
        k->lost++;
        return;
    }
    k->lines[k->count] = *line;
    k->lines[k->count].text = mem_strdup(line->text);
    k->count++;
}

static void forget_kept(struct log *l)
{
    struct kept *k = &l->kept;
    for (size_t i = 0; i < k->count; i++)
        free((char *)(uintptr_t)k->lines[i].text);
    k->count = 0;
    k->lost = 0;
}

static void release_line(struct log *l, const struct line *line)
{
    if (!passes(l, line->level))
        return;
    if (l->options.destination == LOG_TO_STDOUT) {
        if (!line->shown)
            to_stdout(l, line);
        return;
    }
    struct buf b = BUF_INIT;
    render(l, &b, line);
    to_destinations(l, &b, line->text);
    buf_done(&b);
}

static void release_kept(struct log *l)
{
    struct kept *k = &l->kept;
    for (size_t i = 0; i < k->count; i++)
        release_line(l, &k->lines[i]);
    if (k->lost > 0) {
        char text[80];
        snprintf(text, sizeof(text), "WARNING: %zu early log lines were not kept", k->lost);
        struct line line = {.level = LOG_ALWAYS,
                            .when = time(NULL),
                            .thread = (uintptr_t)pthread_self(),
                            .text = text};
        release_line(l, &line);
    }
    forget_kept(l);
}

/* What went wrong before the log file was known. */
static void rescue_kept(struct log *l)
{
    for (size_t i = 0; i < l->kept.count; i++) {
        const struct line *line = &l->kept.lines[i];
        if (line->shown)
            continue;
        struct buf b = BUF_INIT;
        render(l, &b, line);
        to_syslog_instead(l, &b, line->text);
        buf_done(&b);
    }
    forget_kept(l);
}

static void deliver(struct log *l, struct line *line)
{
    if (l->options.destination == LOG_TO_STDOUT) {
        to_stdout(l, line);
        return;
    }
    struct buf b = BUF_INIT;
    render(l, &b, line);
    line->shown = to_console(l, &b, line->text);
    if (wants_file(l) && l->options.path == NULL)
        log_keep(l, line);
    else
        to_destinations(l, &b, line->text);
    buf_done(&b);
}

/* ---- public ---- */

static void set_options(struct log *l, const struct log_options *o)
{
    char *path = o->path != NULL && *o->path != '\0' ? mem_strdup(o->path) : NULL;
    const char *before = l->options.path;
    if (before == NULL || path == NULL || strcmp(before, path) != 0)
        log_close_file(l);
    free((char *)(uintptr_t)before);
    l->options = *o;
    l->options.path = path;
    aim_lastword(l, l->fd);
    l->stamp_second = -1;
    atomic_store(&l->threshold, (int)o->level);
}

static void log_close_stream(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* What the scope was given; a line that comes later is not printed. */
static void log_close_streams(struct log *l)
{
    if (l == &log_of_process)
        return;
    log_close_stream(&l->out);
    log_close_stream(&l->err);
}

static void log_free(void *part)
{
    struct log *l = part;
    log_close_file(l);
    log_close_streams(l);
    forget_kept(l);
    free((char *)(uintptr_t)l->options.path);
    thr_mutex_done(&l->lock);
    free(l);
}

void log_own(int out, int err)
{
    struct log *l = mem_zalloc(1, sizeof(*l));
    *l = (struct log){.threshold = LOG_ALWAYS,
                      .out = out,
                      .err = err,
                      .options = LOG_FIRST_OPTIONS,
                      .fd = -1,
                      .stamp_second = -1};
    thr_mutex_init(&l->lock);
    scope_put(SCOPE_LOG, l, log_free);
}

void log_start(void)
{
    static const struct log_options first = LOG_FIRST_OPTIONS;
    struct log *l = log_here();
    thr_lock(&l->lock);
    tzset();
    l->out_is_terminal = isatty(l->out) == 1;
    l->err_is_terminal = isatty(l->err) == 1;
    l->start_us = clock_mono_us();
    l->notice_given = false;
    l->progress_shown = l->progress_over = false;
    set_options(l, &first);
    thr_unlock(&l->lock);
}

void log_configure(const struct log_options *options)
{
    struct log *l = log_here();
    thr_lock(&l->lock);
    set_options(l, options);
    if (wants_file(l) && l->options.path != NULL)
        log_open_file(l); /* now, while there are descriptors */
    if (!wants_file(l) || l->options.path != NULL)
        release_kept(l);
    thr_unlock(&l->lock);
}

void log_stop(void)
{
    struct log *l = log_here();
    thr_lock(&l->lock);
    rescue_kept(l);
    log_close_file(l);
    free((char *)(uintptr_t)l->options.path);
    l->options.path = NULL;
    if (l->syslog_open && l == &log_of_process)
        closelog();
    l->syslog_open = false;
    log_close_streams(l);
    thr_unlock(&l->lock);
}

bool log_shows_errors(void)
{
    struct log *l = log_here();
    thr_lock(&l->lock);
    bool shown = l->err_is_terminal || l->options.destination < LOG_TO_NOTHING;
    thr_unlock(&l->lock);
    return shown;
}

void log_progress(const char *text)
{
    struct log *l = log_here();
    thr_lock(&l->lock);
    if (l->err_is_terminal && !l->progress_over)
        log_put_progress(l, text);
    thr_unlock(&l->lock);
}

void log_end_progress(void)
{
    struct log *l = log_here();
    thr_lock(&l->lock);
    if (l->progress_shown)
        log_put_progress(l, "");
    l->progress_over = true;
    thr_unlock(&l->lock);
}

bool log_is_terminal(bool error)
{
    struct log *l = log_here();
    thr_lock(&l->lock);
    bool is = error ? l->err_is_terminal : l->out_is_terminal;
    thr_unlock(&l->lock);
    return is;
}

void log_print(bool error, const char *fmt, ...)
{
    struct log *l = log_here();
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    thr_lock(&l->lock);
    print(l, error ? l->err : l->out, &text);
    thr_unlock(&l->lock);
    buf_done(&text);
}

bool log_wants(enum log_level level)
{
    return level <= LOG_ALWAYS || (int)level <= atomic_load(&log_here()->threshold);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (!log_wants(level))
        return;
    int number = errno;
    struct log *l = log_here();
    struct buf raw = BUF_INIT, text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&raw, fmt, ap);
    va_end(ap);
    append_clean(&text, buf_str(&raw));
    struct line line = {.level = level,
                        .when = time(NULL),
                        .thread = (uintptr_t)pthread_self(),
                        .text = buf_str(&text)};
    thr_lock(&l->lock);
    deliver(l, &line);
    thr_unlock(&l->lock);
    buf_done(&raw);
    buf_done(&text);
    errno = number;
}
