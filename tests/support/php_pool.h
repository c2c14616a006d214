/* A pool of script servers on a face: the fake ones of fakeserver.py, or what a test puts in place. */
#ifndef SPINE_TESTS_PHP_POOL_H
#define SPINE_TESTS_PHP_POOL_H

#include "asking.h"

#include "drivers/phpserver.h"

struct php_pool {
    struct asking asking; /* first */
    struct phpserver_options options;
    struct phpserver_figures figures; /* after php_pool_end() */
};

static inline void php_pool_start(void *driver, const struct script_request *request,
                                  int64_t deadline_mono_ms, script_done_fn *done, void *arg)
{
    phpserver_start(driver, request, deadline_mono_ms, done, arg);
}

/* tests/support/, with a slash at the end */
static inline const char *php_pool_support(void)
{
    static char path[512];
    const char *source = getenv("TEST_SRCDIR");
    snprintf(path, sizeof(path), "%.480s/support/", source == NULL ? "tests" : source);
    return path;
}

/* Several may share a face. */
static inline struct php_pool php_pool_on(struct face *f)
{
    static char fake[600];
    snprintf(fake, sizeof(fake), "%sfakeserver.py", php_pool_support());
    struct php_pool w = {.asking = {.face = f, .start = php_pool_start},
                         .options = phpserver_default_options()};
    w.options.php = "/usr/bin/python3";
    w.options.script = fake;
    w.options.version = "1.2.24";
    w.options.count = 1;
    w.options.timeout_ms = 20000;
    return w;
}

/* how: FAKESERVER_START, see fakeserver.py */
static inline struct php_pool php_pool_of(const struct face_kind *kind, const char *how)
{
    setenv("FAKESERVER_START", how, 1);
    return php_pool_on(face_new(kind));
}

static inline void php_pool_open(struct php_pool *w)
{
    w->options.note = asking_note;
    w->options.note_arg = &w->asking;
    w->asking.driver = phpserver_pool_new(w->asking.face->children, &w->options);
}

/* Afterwards notes and figures can be looked at, until php_pool_done(). */
static inline void php_pool_end_all(struct php_pool *w, size_t count)
{
    for (size_t i = 0; i < count; i++)
        phpserver_quit(w[i].asking.driver);
    face_stop(w->asking.face, 6000);
    for (size_t i = 0; i < count; i++) {
        w[i].figures = phpserver_get_figures(w[i].asking.driver);
        phpserver_pool_free(w[i].asking.driver);
    }
    face_free(w->asking.face);
}

static inline void php_pool_end(struct php_pool *w)
{
    php_pool_end_all(w, 1);
}

static inline void php_pool_done(struct php_pool *w)
{
    buf_done(&w->asking.notes);
}

static inline void assert_said(const struct php_pool *w, const char *text)
{
    if (strstr(buf_str(&w->asking.notes), text) == NULL)
        fail_msg("'%s' was not said, but: %s", text, buf_str(&w->asking.notes));
}

static inline void assert_quiet(const struct php_pool *w)
{
    assert_string_equal(buf_str(&w->asking.notes), "");
}

static inline void assert_answer(const struct question *q, const char *output)
{
    if (q->reply.outcome != SCRIPT_OUTPUT || strcmp(q->output, output) != 0)
        fail_msg("'%s': outcome %d, '%s' is not '%s', %s", q->command, (int)q->reply.outcome,
                 q->output, output, q->detail);
}

static inline void assert_none(const struct question *q, enum script_outcome outcome,
                               const char *detail)
{
    if (q->reply.outcome != outcome || strstr(q->detail, detail) == NULL)
        fail_msg("'%s': outcome %d, %s, output '%s'", q->command, (int)q->reply.outcome, q->detail,
                 q->output);
}

#endif
