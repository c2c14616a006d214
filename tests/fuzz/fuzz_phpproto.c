/* Any events of a script server: each request is answered at most once, and an answer is exactly the line that was
 * printed for it, with nothing printed before or after.
 *
 * Input: options, then events: a letter, by which many ms the clock goes on, and what the event needs. */
#include "config.h"

#include "fuzz.h"

#include "model/phpproto.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 40, TIMEOUT_MS = 1000 };

struct session {
    struct phpproto p;
    int64_t now_ms;
    bool asked;         /* a request is not answered yet */
    bool fence;         /* is written and not consumed */
    struct buf said;    /* what was printed since the request was written */
    int starts_failed;  /* in a row */
    unsigned told, ask; /* answers and requests */
};

/* The one line that the request may be answered with, or NULL. */
static const char *only_line(const struct session *s, size_t *ret_len)
{
    const char *text = buf_str(&s->said);
    const char *lf = memchr(text, '\n', s->said.len);
    if (lf == NULL || lf + 1 != text + s->said.len)
        return NULL;
    *ret_len = (size_t)(lf - text);
    return text;
}

static bool is_parse_error(const struct session *s)
{
    return strncmp(buf_str(&s->said), "ERROR: ", 7) == 0 &&
           (strstr(buf_str(&s->said), "\nU\n") != NULL ||
            strstr(buf_str(&s->said), "\nU\r\n") != NULL);
}

static void check_output(const struct session *s, const struct phpproto_do *d)
{
    size_t len = 0;
    const char *line = only_line(s, &len);
    if (line == NULL) {
        CHECK(is_parse_error(s) && d->len == 1 && d->output[0] == 'U' && d->detail != NULL);
        return;
    }
    CHECK(len == d->len && memcmp(line, d->output, len) == 0);
    CHECK(len <= LINE_MAX_BYTES && memchr(line, '\0', len) == NULL);
}

static void check_text(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        CHECK(*text >= ' ' && *text <= '~');
}

static void check_answer(struct session *s, const struct phpproto_do *d)
{
    CHECK(s->asked);
    s->asked = false;
    s->told++;
    if (d->retry)
        CHECK(s->said.len == 0); /* or it may have been carried out */
    else if (d->outcome == SCRIPT_OUTPUT)
        check_output(s, d);
    else
        CHECK(d->end && d->len == 0 && d->detail != NULL);
}

static void check_start(struct session *s, const struct phpproto_do *d)
{
    CHECK(!d->start_failed || (d->note != NULL && d->said != NULL && !d->answer && !d->retry));
    s->starts_failed += d->start_failed;
    CHECK(s->starts_failed <= PHPPROTO_STARTS);
    if (d->start_failed && s->starts_failed == PHPPROTO_STARTS)
        CHECK(s->p.state == PHPPROTO_DEAD);
    if (s->p.state == PHPPROTO_IDLE)
        s->starts_failed = 0;
}

static void check_state(const struct session *s)
{
    enum phpproto_state state = s->p.state;
    bool busy = state == PHPPROTO_BUSY || state == PHPPROTO_HELD;
    bool timed = busy || state == PHPPROTO_STARTING || state == PHPPROTO_SETTLING;
    CHECK(busy == s->asked);
    CHECK(timed == (s->p.due_ms != INT64_MAX));
    CHECK(!timed || s->p.due_ms <= s->now_ms + TIMEOUT_MS);
    CHECK(s->p.in.len <= PHPPROTO_HELLO_MAX + LINE_MAX_BYTES + 8192 + 2 * 4096);
}

static void did(struct session *s, struct phpproto_do d)
{
    if (d.answer || d.retry)
        check_answer(s, &d);
    if (d.fence) {
        CHECK(!s->fence && (s->p.state == PHPPROTO_SETTLING || s->p.state == PHPPROTO_HELD));
        s->fence = true;
    }
    if (d.end) {
        CHECK(s->p.state == PHPPROTO_DOWN || s->p.state == PHPPROTO_DEAD);
        CHECK(s->p.state == PHPPROTO_DEAD || s->p.start_at_ms <= s->now_ms + 2000);
        s->fence = false;
    }
    check_text(d.note);
    check_text(d.detail);
    check_text(d.said);
    check_start(s, &d);
    check_state(s);
}

/* ---- events ---- */

static void ev_start(struct session *s, bool for_good)
{
    if (s->p.state != PHPPROTO_DOWN)
        return;
    if (s->now_ms < s->p.start_at_ms)
        s->now_ms = s->p.start_at_ms;
    s->fence = false;
    if (for_good)
        did(s, phpproto_not_started(&s->p, s->now_ms, "no such file", true));
    else
        did(s, phpproto_started(&s->p, s->now_ms));
}

static void ev_ask(struct session *s, struct feed *f)
{
    char *command = feed_text(f, '|');
    struct buf line = BUF_INIT;
    if (s->p.state == PHPPROTO_IDLE && phpproto_refuses(command) == NULL) {
        s->asked = true;
        s->ask++;
        buf_clear(&s->said);
        phpproto_ask(&s->p, s->now_ms, command, &line);
        size_t len = strlen(command);
        CHECK(strncmp(line.data, command, len) == 0 && line.len <= 1023);
        CHECK(strcmp(line.data + len, "\r\n") == 0 || strcmp(line.data + len, "\n") == 0);
        CHECK(memchr(line.data, '\n', line.len) == line.data + line.len - 1);
        check_state(s);
    }
    buf_done(&line);
    free(command);
}

static void ev_print(struct session *s, struct feed *f)
{
    const char *bytes;
    size_t len = feed_span(f, '|', &bytes);
    if (len == 0)
        return;
    if (s->asked)
        buf_append(&s->said, bytes, len);
    did(s, phpproto_bytes(&s->p, s->now_ms, bytes, len));
}

static void ev_consume(struct session *s, bool known)
{
    if (!s->fence)
        return;
    s->fence = false;
    did(s, known ? phpproto_consumed(&s->p, s->now_ms) : phpproto_no_fence(&s->p, s->now_ms));
}

static void ev_drop(struct session *s)
{
    phpproto_drop(&s->p, s->now_ms);
    s->asked = s->fence = false;
    check_state(s);
}

static void event(struct session *s, struct feed *f)
{
    uint8_t kind = feed_byte(f);
    s->now_ms += feed_byte(f) & 0x3f;
    switch (kind) {
    case 's': ev_start(s, false); break;
    case 'n': ev_start(s, true); break;
    case 'a': ev_ask(s, f); break;
    case 'p': ev_print(s, f); break;
    case 'c': ev_consume(s, true); break;
    case 'u': ev_consume(s, false); break;
    case 'e': did(s, phpproto_closed(&s->p, s->now_ms)); break;
    case 'd': ev_drop(s); break;
    case 't':
        if (s->p.due_ms != INT64_MAX && s->now_ms < s->p.due_ms)
            s->now_ms = s->p.due_ms;
        did(s, phpproto_time(&s->p, s->now_ms));
        break;
    case 'T': did(s, phpproto_time(&s->p, s->now_ms)); break;
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct session s = {.now_ms = 5000};
    phpproto_init(&s.p, &(struct phpproto_options){.timeout_ms = TIMEOUT_MS,
                                                   .line_max = LINE_MAX_BYTES,
                                                   .no_fence = feed_byte(&f) == 'N'});
    while (f.left > 0)
        event(&s, &f);
    if (s.asked) /* whatever happens, each request is answered in its time */
        for (int i = 0; i < 3 && s.asked; i++) {
            s.now_ms = s.p.due_ms;
            did(&s, phpproto_time(&s.p, s.now_ms));
        }
    CHECK(!s.asked);
    phpproto_done(&s.p);
    buf_done(&s.said);
    return 0;
}
