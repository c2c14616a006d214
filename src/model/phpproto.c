#include "config.h"

#include "model/phpproto.h"

#include "base/mem.h"
#include "base/num.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAUSE_MS = 250, /* before the second start; doubles */
    PAUSE_MAX_MS = 2000,
    FRUITLESS_FREE = 3, /* servers that never answered and are replaced without a pause */
    TAIL_MS = 100,      /* without fences: for the U after a parse error (docs/contract.md 15.5) */
    HELD_MAX = 8192,    /* bytes after an answer's line: no more are looked at */
    SHOWN = 200         /* of foreign text in a note */
};

static const struct phpproto_do nothing = {.end = false};

void phpproto_init(struct phpproto *p, const struct phpproto_options *options)
{
    memset(p, 0, sizeof(*p));
    p->options = *options;
    p->due_ms = INT64_MAX;
}

void phpproto_done(struct phpproto *p)
{
    buf_done(&p->in);
    buf_done(&p->text);
}

/* ---- texts ---- */

static void show(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len && i < SHOWN; i++)
        buf_putc(out, isprint((unsigned char)text[i]) ? text[i] : '.');
    if (len > SHOWN)
        buf_puts(out, "...");
}

/* "what: 'the foreign text'" */
static const char *quote(struct phpproto *p, const char *what, const char *text, size_t len)
{
    buf_clear(&p->text);
    buf_printf(&p->text, "%s: '", what);
    show(&p->text, text, len);
    buf_putc(&p->text, '\'');
    return p->text.data;
}

/* ---- ends of a process ---- */

static int64_t pause_after(int failures)
{
    int64_t ms = PAUSE_MS;
    for (int i = 1; i < failures && ms < PAUSE_MAX_MS; i++)
        ms *= 2;
    return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

static void go_down(struct phpproto *p, int64_t start_at_ms)
{
    p->state = PHPPROTO_DOWN;
    p->start_at_ms = start_at_ms;
    p->due_ms = INT64_MAX;
}

static struct phpproto_do phpproto_start_failed(struct phpproto *p, int64_t now_ms, const char *why,
                                                bool for_good)
{
    buf_clear(&p->text);
    show(&p->text, buf_str(&p->in), p->in.len);
    struct phpproto_do d = {
        .end = true, .start_failed = true, .note = why, .said = buf_str(&p->text)};
    p->failed_starts++;
    go_down(p, now_ms + pause_after(p->failed_starts));
    if (for_good || p->failed_starts >= PHPPROTO_STARTS)
        p->state = PHPPROTO_DEAD;
    return d;
}

/* It worked once, but cannot be trusted or has ended. */
static void phpproto_replace(struct phpproto *p, int64_t now_ms)
{
    p->fruitless = p->answered ? 0 : p->fruitless + 1;
    int beyond = p->fruitless - FRUITLESS_FREE;
    go_down(p, now_ms + (beyond > 0 ? pause_after(beyond) : 0));
}

static struct phpproto_do doubt(struct phpproto *p, int64_t now_ms, enum script_outcome outcome,
                                const char *detail)
{
    struct phpproto_do d = {
        .end = true, .answer = true, .outcome = outcome, .output = "", .detail = detail};
    phpproto_replace(p, now_ms);
    return d;
}

/* ---- the start ---- */

struct phpproto_do phpproto_started(struct phpproto *p, int64_t now_ms)
{
    p->state = PHPPROTO_STARTING;
    p->due_ms = now_ms + p->options.timeout_ms;
    p->answered = false;
    p->fenced = !p->options.no_fence;
    buf_clear(&p->in);
    return nothing;
}

struct phpproto_do phpproto_not_started(struct phpproto *p, int64_t now_ms, const char *why,
                                        bool for_good)
{
    buf_clear(&p->in);
    struct phpproto_do d = phpproto_start_failed(p, now_ms, why, for_good);
    d.end = false;
    return d;
}

static void become_idle(struct phpproto *p)
{
    p->state = PHPPROTO_IDLE;
    p->due_ms = INT64_MAX;
    buf_clear(&p->in);
}

/* Lines before the one with "Started" are PHP's warnings: they are logged, and the server is used.
 * */
static struct phpproto_do greet(struct phpproto *p, int64_t now_ms)
{
    struct phpproto_do d = nothing;
    const char *line = buf_str(&p->in), *end = line + p->in.len, *lf;
    for (; (lf = memchr(line, '\n', (size_t)(end - line))) != NULL; line = lf + 1)
        if (memmem(line, (size_t)(lf - line), "Started", 7) != NULL)
            break;
    if (lf == NULL) {
        if (p->in.len > PHPPROTO_HELLO_MAX)
            return phpproto_start_failed(p, now_ms, "it printed much, but not that it started",
                                         false);
        return d;
    }
    if (line > p->in.data)
        d.note = quote(p, "printed before it started", p->in.data, (size_t)(line - 1 - p->in.data));
    if (!p->fenced) {
        p->failed_starts = 0;
        become_idle(p);
        return d;
    }
    p->state = PHPPROTO_SETTLING;
    d.fence = true;
    buf_clear(&p->in);
    return d;
}

/* ---- answers ---- */

static bool starts_with(const char *text, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len >= n && memcmp(text, word, n) == 0;
}

static bool is_parse_error(const char *line, size_t len)
{
    return starts_with(line, len, "ERROR: Backtic (`) characters not allowed") ||
           starts_with(line, len, "ERROR: Parse error attempting to parse string");
}

static bool is_u(const char *rest, size_t len)
{
    return (len == 2 && memcmp(rest, "U\n", 2) == 0) || (len == 3 && memcmp(rest, "U\r\n", 3) == 0);
}

/* All that it has said for this request is in p->in. */
static struct phpproto_do phpproto_judge(struct phpproto *p, int64_t now_ms, bool gone)
{
    struct phpproto_do d = {.end = gone, .answer = true, .outcome = SCRIPT_OUTPUT};
    const char *lf = memchr(p->in.data, '\n', p->in.len);
    size_t len = (size_t)(lf - p->in.data), rest = p->in.len - len - 1;
    if (is_parse_error(p->in.data, len) && is_u(lf + 1, rest)) {
        d.detail = quote(p, "the script server could not parse the parameters", p->in.data, len);
        d.output = "U";
        d.len = 1;
    } else if (rest > 0) {
        return doubt(p, now_ms, SCRIPT_LOST,
                     quote(p, "more than one line was printed, the script server is restarted",
                           p->in.data, p->in.len));
    } else {
        buf_clear(&p->text);
        buf_append(&p->text, p->in.data, len);
        d.output = buf_str(&p->text);
        d.len = len;
    }
    p->answered = true;
    p->fruitless = 0;
    if (gone)
        go_down(p, now_ms);
    else
        become_idle(p);
    return d;
}

static struct phpproto_do phpproto_collect(struct phpproto *p, int64_t now_ms)
{
    const char *lf = memchr(p->in.data, '\n', p->in.len);
    size_t len = lf == NULL ? p->in.len : (size_t)(lf - p->in.data);
    if (len > p->options.line_max) {
        buf_clear(&p->text);
        buf_printf(&p->text, "limit: %zu bytes in a line of a script server; it is restarted",
                   p->options.line_max);
        return doubt(p, now_ms, SCRIPT_FLOODED, p->text.data);
    }
    if (memchr(p->in.data, '\0', len) != NULL)
        return doubt(p, now_ms, SCRIPT_LOST,
                     "a NUL byte was printed, the script server is restarted");
    if (lf == NULL)
        return nothing;
    p->state = PHPPROTO_HELD;
    if (p->fenced)
        return (struct phpproto_do){.fence = true};
    if (is_parse_error(p->in.data, len) && lf + 1 == p->in.data + p->in.len) {
        if (now_ms + TAIL_MS < p->due_ms)
            p->due_ms = now_ms + TAIL_MS;
        return nothing;
    }
    return phpproto_judge(p, now_ms, false);
}

/* ---- events ---- */

struct phpproto_do phpproto_bytes(struct phpproto *p, int64_t now_ms, const char *bytes, size_t len)
{
    struct phpproto_do d = nothing;
    switch (p->state) {
    case PHPPROTO_STARTING: buf_append(&p->in, bytes, len); return greet(p, now_ms);
    case PHPPROTO_SETTLING: d.note = quote(p, "printed after it started", bytes, len); return d;
    case PHPPROTO_IDLE:
        d.end = true;
        d.note = quote(p, "printed without being asked, it is restarted", bytes, len);
        phpproto_replace(p, now_ms);
        return d;
    case PHPPROTO_BUSY: buf_append(&p->in, bytes, len); return phpproto_collect(p, now_ms);
    case PHPPROTO_HELD:
        if (p->in.len < p->options.line_max + HELD_MAX)
            buf_append(&p->in, bytes, len);
        if (!p->fenced)
            return phpproto_judge(p, now_ms, false);
        return d;
    case PHPPROTO_DOWN:
    case PHPPROTO_DEAD: break;
    }
    return d;
}

struct phpproto_do phpproto_consumed(struct phpproto *p, int64_t now_ms)
{
    if (p->state == PHPPROTO_SETTLING) {
        p->failed_starts = 0;
        become_idle(p);
    } else if (p->state == PHPPROTO_HELD) {
        return phpproto_judge(p, now_ms, false);
    }
    return nothing;
}

struct phpproto_do phpproto_no_fence(struct phpproto *p, int64_t now_ms)
{
    p->fenced = false;
    return phpproto_consumed(p, now_ms);
}

void phpproto_drop(struct phpproto *p, int64_t now_ms)
{
    if (p->state == PHPPROTO_DEAD || p->state == PHPPROTO_DOWN)
        return;
    p->answered = true; /* it is not its fault */
    phpproto_replace(p, now_ms);
}

struct phpproto_do phpproto_closed(struct phpproto *p, int64_t now_ms)
{
    struct phpproto_do d = {.end = true};
    switch (p->state) {
    case PHPPROTO_STARTING:
    case PHPPROTO_SETTLING:
        return phpproto_start_failed(p, now_ms, "it ended while it started", false);
    case PHPPROTO_IDLE:
        phpproto_replace(p, now_ms);
        d.note = "ended while it had nothing to do";
        return d;
    case PHPPROTO_BUSY:
        if (p->in.len > 0)
            return doubt(p, now_ms, SCRIPT_LOST,
                         "the script server ended in the middle of its answer");
        phpproto_replace(p, now_ms);
        d.retry = true;
        d.note = "ended before it answered";
        d.outcome = SCRIPT_LOST;
        d.detail = "the script server ended before it answered";
        return d;
    case PHPPROTO_HELD:
        return phpproto_judge(p, now_ms, true); /* no fence is better than its end */
    case PHPPROTO_DOWN:
    case PHPPROTO_DEAD: break;
    }
    return nothing;
}

static const char *say_timeout(struct phpproto *p, const char *what)
{
    buf_clear(&p->text);
    buf_printf(&p->text, "limit: %" PRId64 " ms; %s", p->options.timeout_ms, what);
    return p->text.data;
}

struct phpproto_do phpproto_time(struct phpproto *p, int64_t now_ms)
{
    if (now_ms < p->due_ms)
        return nothing;
    switch (p->state) {
    case PHPPROTO_STARTING:
        return phpproto_start_failed(p, now_ms, "it did not start in time", false);
    case PHPPROTO_SETTLING:
        return phpproto_start_failed(p, now_ms, "it said that it had started, and did not read",
                                     false);
    case PHPPROTO_BUSY:
        return doubt(
            p, now_ms, SCRIPT_TIMED_OUT,
            say_timeout(p, p->in.len == 0 ? "nothing was printed" : "the line was not finished"));
    case PHPPROTO_HELD:
        if (!p->fenced)
            return phpproto_judge(p, now_ms, false);
        return doubt(p, now_ms, SCRIPT_TIMED_OUT,
                     say_timeout(p, "a line was printed, but the function did not end"));
    case PHPPROTO_IDLE:
    case PHPPROTO_DOWN:
    case PHPPROTO_DEAD: break;
    }
    return nothing;
}

/* ---- requests ---- */

const char *phpproto_refuses(const char *command)
{
    size_t len = strlen(command);
    if (command[strspn(command, " \t\r\n\v")] == '\0')
        return "the command is empty; a script server does not answer that";
    if (memchr(command, '\n', len) != NULL)
        return "the command has more than one line; a script server takes each for a request";
    if (len > PHPPROTO_REQUEST_MAX)
        return "the command is longer than the 1021 bytes that a script server reads";
    return NULL;
}

void phpproto_ask(struct phpproto *p, int64_t now_ms, const char *command, struct buf *line)
{
    CHECK(p->state == PHPPROTO_IDLE);
    p->state = PHPPROTO_BUSY;
    p->asked_ms = now_ms;
    p->due_ms = now_ms + p->options.timeout_ms;
    buf_clear(&p->in);
    buf_puts(line, command);
    /* A fence has used up one of the 1023 bytes; the server needs no CR. */
    buf_puts(line, strlen(command) < PHPPROTO_REQUEST_MAX ? "\r\n" : "\n");
}

/* ---- how it is started ---- */

/* Newer than 1.2.22 (docs/contract.md 15.2); what is not a version is old. */
static bool takes_options(const char *version)
{
    int64_t number = 0, weight = 1000;
    const char *p = version == NULL ? "" : version;
    for (int part = 0; part < 3 && isdigit((unsigned char)*p); part++) {
        number += num_leading(p) * weight;
        weight = weight == 1000 ? 100 : 1;
        p += strspn(p, "0123456789");
        if (*p == '.')
            p++;
    }
    return number > 1222;
}

char **phpproto_argv(const char *php, const char *script, const char *version, int poller_id,
                     const char *mode)
{
    struct buf b = BUF_INIT;
    char **argv = mem_zalloc(7, sizeof(argv[0]));
    int n = 0;
    argv[n++] = mem_strdup(php);
    argv[n++] = mem_strdup("-q");
    argv[n++] = mem_strdup(script);
    if (takes_options(version)) {
        argv[n++] = mem_strdup("--environ=spine");
        buf_printf(&b, "--poller=%d", poller_id);
        argv[n++] = buf_take(&b);
        if (poller_id > 1)
            argv[n++] = mem_strdup(mode != NULL && strcmp(mode, "online") == 0 ? "--mode=online"
                                                                               : "--mode=offline");
    } else {
        argv[n++] = mem_strdup("spine");
        buf_printf(&b, "%d", poller_id);
        argv[n++] = buf_take(&b);
    }
    return argv;
}

void phpproto_free_argv(char **argv)
{
    if (argv == NULL)
        return;
    for (char **a = argv; *a != NULL; a++)
        free(*a);
    free(argv);
}
