/* Every test on every face, the faces in processes of their own and at the same time, because they
 * mostly wait.  What they print comes out one after the other. */
#ifndef SPINE_TESTS_EVERYFACE_H
#define SPINE_TESTS_EVERYFACE_H

#include "face.h"

#include <errno.h>

enum { FACE_SHARES_MAX = 4 };

struct face_share {
    struct face_kind kind;
    size_t number, of; /* every test whose place leaves this remainder */
    pid_t pid;
    FILE *said;
};

static inline int face_run_share(struct face_share *s, const struct CMUnitTest *all, size_t count)
{
    struct CMUnitTest *tests = mem_zalloc(count, sizeof(tests[0]));
    size_t n = 0;
    leftovers_mark();
    for (size_t i = s->number; i < count; i += s->of) {
        tests[n] = all[i];
        tests[n++].initial_state = &s->kind;
    }
    int failed = _cmocka_run_group_tests(s->kind.name, tests, n, NULL, NULL);
    free(tests);
    return failed;
}

static inline void face_begin_share(struct face_share *s, const struct CMUnitTest *all,
                                    size_t count)
{
    s->said = tmpfile();
    CHECK(s->said != NULL);
    s->pid = fork();
    CHECK(s->pid >= 0);
    if (s->pid > 0)
        return;
    dup2(fileno(s->said), STDOUT_FILENO);
    dup2(fileno(s->said), STDERR_FILENO);
    fclose(s->said);
    exit(face_run_share(s, all, count) == 0 ? 0 : 1);
}

static inline bool face_end_share(struct face_share *s)
{
    char text[4096];
    size_t n;
    int status = -1;
    while (waitpid(s->pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    printf("%s, share %zu of %zu: status %d\n", s->kind.name, s->number + 1, s->of, status);
    rewind(s->said);
    while ((n = fread(text, 1, sizeof(text), s->said)) > 0)
        fwrite(text, 1, n, stdout);
    fclose(s->said);
    return status == 0;
}

/* shares: processes per face; old_kernels: without pidfd as well.  Returns how many failed. */
static inline int face_run_tests(const struct CMUnitTest *all, size_t count, size_t shares,
                                 bool old_kernels)
{
    struct face_share list[ARRAY_LEN(face_kinds) * FACE_SHARES_MAX];
    size_t n = 0;
    int failed = 0;
    CHECK(shares <= FACE_SHARES_MAX);
    fflush(stdout);
    for (size_t k = 0; k < ARRAY_LEN(face_kinds); k++) {
        if (face_kinds[k].options.no_pidfd && !old_kernels)
            continue;
        if (face_kinds[k].on_loop && !loop_kind_is_built(LOOP_LIBEVENT))
            continue;
        for (size_t i = 0; i < shares; i++) {
            list[n] = (struct face_share){.kind = face_kinds[k], .number = i, .of = shares};
            face_begin_share(&list[n++], all, count);
        }
    }
    for (size_t i = 0; i < n; i++)
        failed += !face_end_share(&list[i]);
    return failed;
}

#endif
