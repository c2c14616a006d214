#include "config.h"

#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/lastword.h"
#include "base/mem.h"
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

static struct {
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
} state = {.options = {.level = LOG_ALWAYS,
                       .destination = LOG_TO_FILE,
                       .date_separator = '/',
                       .poller_id = 1},
           .fd = -1,
           .stamp_second = -1};

static struct thr_mutex lock = THR_MUTEX_INITIALIZER;
static atomic_int threshold = LOG_ALWAYS; /* options.level, read without the lock */

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

static const char *log_stamp(time_t when)
{
    if (when == state.stamp_second)
        return state.stamp;
    struct tm tm;
    if (localtime_r(&when, &tm) == NULL)
        memset(&tm, 0, sizeof(tm));
    char s = state.options.date_separator;
    snprintf(state.stamp, sizeof(state.stamp), "%04d%c%02d%c%02d %02d:%02d:%02d", tm.tm_year + 1900,
             s, tm.tm_mon + 1, s, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    state.stamp_second = when;
    return state.stamp;
}

static void render(struct buf *out, const struct line *line)
{
    buf_printf(out, "%s - SPINE: Poller[%d] PID[%ld] PT[%ju] %s", log_stamp(line->when),
               state.options.poller_id, (long)getpid(), (uintmax_t)line->thread, line->text);
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
static void print_to(int fd, const struct buf *b)
{
    for (size_t at = 0; at < b->len;) {
        struct pollfd pfd = {.fd = fd, .events = POLLOUT};
        if (poll(&pfd, 1, state.reader_stuck ? 0 : READER_WAIT_MS) == 0) {
            state.reader_stuck = true;
            return;
        }
        state.reader_stuck = false;
        size_t piece = b->len - at < PIPE_BUF ? b->len - at : PIPE_BUF;
        ssize_t n = write(fd, b->data + at, piece); /* has room for PIPE_BUF: cannot block */
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (n > 0)
            at += (size_t)n;
    }
}

/* The progress line gives way to what is printed, and only to a terminal that takes it at once. */
static void log_put_progress(const char *text)
{
    struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};
    struct buf b = BUF_INIT;
    if (poll(&pfd, 1, 0) == 1) {
        buf_printf(&b, "\r%s\033[K", text);
        print_to(STDERR_FILENO, &b);
        state.progress_shown = *text != '\0';
    }
    buf_done(&b);
}

static void print(FILE *stream, const struct buf *b)
{
    if (state.progress_shown)
        log_put_progress("");
    fflush(stream); /* what others have printed */
    print_to(fileno(stream), b);
}

static void to_stdout(const struct line *line)
{
    struct buf b = BUF_INIT;
    double seconds = (double)(clock_mono_us() - state.start_us) / 1e6;
    buf_printf(&b, "Total[%3.4f] %s", state.start_us == 0 ? 0.0 : seconds, line->text);
    finish_line(&b);
    print(stdout, &b);
    buf_done(&b);
}

static bool to_console(const struct buf *rendered, const char *text)
{
    bool error = is_error(text) || is_warning(text);
    bool to_stderr = state.options.destination == LOG_TO_STDERR;
    if (!(error ? to_stderr || state.err_is_terminal : !to_stderr && state.out_is_terminal))
        return false;
    print(error ? stderr : stdout, rendered);
    return true;
}

/* The last line goes to the destination in use now. */
static void aim_lastword(int fd)
{
    if (state.options.destination == LOG_TO_STDOUT)
        fd = STDOUT_FILENO;
    lastword_aim(state.options.level == LOG_NONE ? -1 : fd, state.options.date_separator,
                 state.options.poller_id);
}

static void log_close_file(void)
{
    aim_lastword(-1);
    if (state.fd >= 0)
        close(state.fd);
    state.fd = -1;
    state.torn = false;
}

/* Once, for a person who started the program by hand. */
static void give_notice(const char *what, int number)
{
    if (state.notice_given)
        return;
    state.notice_given = true;
    fprintf(stderr, "ERROR: Spine Log File %s: %s: %s; errors and warnings go to the system log\n",
            what, state.options.path, strerror(number));
    fflush(stderr);
}

/* Non-blocking, because the path may name a FIFO without a reader. */
static bool log_open_file(void)
{
    struct stat st;
    if (state.fd >= 0) {
        if (stat(state.options.path, &st) == 0 && st.st_dev == state.dev && st.st_ino == state.ino)
            return true;
        log_close_file();
    }
    state.fd = open(state.options.path,
                    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (state.fd >= 0 && fstat(state.fd, &st) == 0) {
        state.dev = st.st_dev;
        state.ino = st.st_ino;
        aim_lastword(state.fd);
        return true;
    }
    give_notice("Could Not Be Opened/Created", errno);
    log_close_file();
    return false;
}

/* false: the line is not in the file. */
static bool to_file(const struct buf *rendered)
{
    if (!log_open_file())
        return false;
    struct buf whole = BUF_INIT;
    if (state.torn)
        buf_putc(&whole, '\n');
    buf_append(&whole, rendered->data, rendered->len);
    ssize_t n;
    do {
        n = write(state.fd, whole.data, whole.len);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        give_notice("Could Not Be Written", errno);
    else
        state.torn = (size_t)n < whole.len;
    buf_done(&whole);
    return n > 0;
}

static void send_syslog(int priority, const struct buf *rendered)
{
    if (!state.syslog_open)
        openlog("Cacti", LOG_PID, LOG_SYSLOG);
    state.syslog_open = true;
    syslog(priority, "%.*s", (int)rendered->len - 1, rendered->data);
}

/* Each class is tested by itself, so a line can be sent twice (docs/contract.md 3.3). */
static void to_syslog(const struct buf *rendered, const char *text, const struct log_options *o)
{
    if (o->syslog_errors && is_error(text))
        send_syslog(LOG_CRIT, rendered);
    if (o->syslog_warnings && is_warning(text))
        send_syslog(LOG_WARNING, rendered);
    if (o->syslog_stats && strstr(text, "STATS") != NULL)
        send_syslog(LOG_NOTICE, rendered);
}

static bool wants_file(void)
{
    enum log_destination d = state.options.destination;
    return (d == LOG_TO_FILE || d == LOG_TO_BOTH) && state.options.level != LOG_NONE;
}

/* Under Cacti standard error has no reader: what went wrong must not vanish with the file. */
static void to_syslog_instead(const struct buf *rendered, const char *text)
{
    static const struct log_options all = {.syslog_errors = true, .syslog_warnings = true};
    to_syslog(rendered, text, &all);
}

/* To the file and the system log, as far as they are wanted. */
static void to_destinations(const struct buf *rendered, const char *text)
{
    const struct log_options *o = &state.options;
    bool lost = wants_file() && !to_file(rendered);
    if (lost)
        to_syslog_instead(rendered, text);
    else if (o->destination == LOG_TO_BOTH || o->destination == LOG_TO_SYSLOG)
        to_syslog(rendered, text, o);
}

static bool passes(enum log_level level)
{
    return level <= LOG_ALWAYS || (int)level <= (int)state.options.level;
}

/* ---- lines kept until the destination is known ---- */

static void log_keep(const struct line *line)
{
    struct kept *k = &state.kept;
    if (k->count == KEPT_LINES) {
        k->lost++;
        return;
    }
    k->lines[k->count] = *line;
    k->lines[k->count].text = mem_strdup(line->text);
    k->count++;
}

static void forget_kept(void)
{
    struct kept *k = &state.kept;
    for (size_t i = 0; i < k->count; i++)
        free((char *)(uintptr_t)k->lines[i].text);
    k->count = 0;
    k->lost = 0;
}

static void release_line(const struct line *line)
{
    if (!passes(line->level))
        return;
    if (state.options.destination == LOG_TO_STDOUT) {
        if (!line->shown)
            to_stdout(line);
        return;
    }
    struct buf b = BUF_INIT;
    render(&b, line);
    to_destinations(&b, line->text);
    buf_done(&b);
}

static void release_kept(void)
{
    struct kept *k = &state.kept;
    for (size_t i = 0; i < k->count; i++)
        release_line(&k->lines[i]);
    if (k->lost > 0) {
        char text[80];
        snprintf(text, sizeof(text), "WARNING: %zu early log lines were not kept", k->lost);
        struct line line = {.level = LOG_ALWAYS,
                            .when = time(NULL),
                            .thread = (uintptr_t)pthread_self(),
                            .text = text};
        release_line(&line);
    }
    forget_kept();
}

/* What went wrong before the log file was known. */
static void rescue_kept(void)
{
    for (size_t i = 0; i < state.kept.count; i++) {
        const struct line *line = &state.kept.lines[i];
        if (line->shown)
            continue;
        struct buf b = BUF_INIT;
        render(&b, line);
        to_syslog_instead(&b, line->text);
        buf_done(&b);
    }
    forget_kept();
}

static void deliver(struct line *line)
{
    if (state.options.destination == LOG_TO_STDOUT) {
        to_stdout(line);
        return;
    }
    struct buf b = BUF_INIT;
    render(&b, line);
    line->shown = to_console(&b, line->text);
    if (wants_file() && state.options.path == NULL)
        log_keep(line);
    else
        to_destinations(&b, line->text);
    buf_done(&b);
}

/* ---- public ---- */

static void set_options(const struct log_options *o)
{
    char *path = o->path != NULL && *o->path != '\0' ? mem_strdup(o->path) : NULL;
    const char *before = state.options.path;
    if (before == NULL || path == NULL || strcmp(before, path) != 0)
        log_close_file();
    free((char *)(uintptr_t)before);
    state.options = *o;
    state.options.path = path;
    aim_lastword(state.fd);
    state.stamp_second = -1;
    atomic_store(&threshold, (int)o->level);
}

void log_start(void)
{
    static const struct log_options first = {
        .level = LOG_ALWAYS, .destination = LOG_TO_FILE, .date_separator = '/', .poller_id = 1};
    thr_lock(&lock);
    tzset();
    state.out_is_terminal = isatty(STDOUT_FILENO) == 1;
    state.err_is_terminal = isatty(STDERR_FILENO) == 1;
    state.start_us = clock_mono_us();
    state.notice_given = false;
    state.progress_shown = state.progress_over = false;
    set_options(&first);
    thr_unlock(&lock);
}

void log_configure(const struct log_options *options)
{
    thr_lock(&lock);
    set_options(options);
    if (wants_file() && state.options.path != NULL)
        log_open_file(); /* now, while there are descriptors */
    if (!wants_file() || state.options.path != NULL)
        release_kept();
    thr_unlock(&lock);
}

void log_stop(void)
{
    thr_lock(&lock);
    rescue_kept();
    log_close_file();
    free((char *)(uintptr_t)state.options.path);
    state.options.path = NULL;
    if (state.syslog_open)
        closelog();
    state.syslog_open = false;
    thr_unlock(&lock);
}

bool log_shows_errors(void)
{
    thr_lock(&lock);
    bool shown = state.err_is_terminal || state.options.destination == LOG_TO_STDERR;
    thr_unlock(&lock);
    return shown;
}

void log_progress(const char *text)
{
    thr_lock(&lock);
    if (state.err_is_terminal && !state.progress_over)
        log_put_progress(text);
    thr_unlock(&lock);
}

void log_end_progress(void)
{
    thr_lock(&lock);
    if (state.progress_shown)
        log_put_progress("");
    state.progress_over = true;
    thr_unlock(&lock);
}

bool log_wants(enum log_level level)
{
    return level <= LOG_ALWAYS || (int)level <= atomic_load(&threshold);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if (!log_wants(level))
        return;
    int number = errno;
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
    thr_lock(&lock);
    deliver(&line);
    thr_unlock(&lock);
    buf_done(&raw);
    buf_done(&text);
    errno = number;
}
