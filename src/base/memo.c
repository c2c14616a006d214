#include "config.h"

#include "base/memo.h"

#include "base/mem.h"
#include "base/thr.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct memo_entry {
    TAILQ_ENTRY(memo_entry) next; /* by use, the longest ago first */
    int64_t put_ms;
    size_t key_len;
    const unsigned char *key; /* behind the value, or the caller's */
    unsigned char value[];
};

struct memo {
    struct thr_mutex lock; /* guards all that follows, but value_size */
    size_t value_size;
    void *all GUARDED; /* tsearch(3) */
    TAILQ_HEAD(, memo_entry) used;
    struct memo_figures figures GUARDED;
};

UNCHECKED_LOCKS struct memo *memo_new(size_t most, int64_t keep_ms, size_t value_size)
{
    struct memo *m = mem_zalloc(1, sizeof(*m));
    thr_mutex_init(&m->lock);
    TAILQ_INIT(&m->used);
    m->value_size = value_size;
    m->figures = (struct memo_figures){.most = most, .keep_ms = keep_ms};
    return m;
}

UNCHECKED_LOCKS void memo_free(struct memo *m)
{
    if (m == NULL)
        return;
    tdestroy(m->all, free);
    thr_mutex_done(&m->lock);
    free(m);
}

struct memo_figures memo_figures(struct memo *m, int64_t now_ms)
{
    struct memo_figures f = {.entries = 0};
    const struct memo_entry *e;
    if (m == NULL)
        return f;
    thr_lock(&m->lock);
    f = m->figures;
    TAILQ_FOREACH (e, &m->used, next)
        if (now_ms - e->put_ms > f.oldest_ms)
            f.oldest_ms = now_ms - e->put_ms;
    thr_unlock(&m->lock);
    return f;
}

static int memo_compare(const void *left, const void *right)
{
    const struct memo_entry *a = left, *b = right;
    if (a->key_len != b->key_len)
        return a->key_len < b->key_len ? -1 : 1;
    return memcmp(a->key, b->key, a->key_len);
}

static struct memo_entry *memo_find(struct memo *m, const void *key, size_t len) REQUIRES(m->lock);
static void memo_remove(struct memo *m, struct memo_entry *e) REQUIRES(m->lock);
static struct memo_entry *memo_add(struct memo *m, const void *key, size_t len) REQUIRES(m->lock);

static struct memo_entry *memo_find(struct memo *m, const void *key, size_t len)
{
    const struct memo_entry wanted = {.key = key, .key_len = len};
    struct memo_entry *const *known = tfind(&wanted, &m->all, memo_compare);
    return known == NULL ? NULL : *known;
}

static void memo_remove(struct memo *m, struct memo_entry *e)
{
    TAILQ_REMOVE(&m->used, e, next);
    tdelete(e, &m->all, memo_compare);
    m->figures.entries--;
    free(e);
}

static struct memo_entry *memo_add(struct memo *m, const void *key, size_t len)
{
    if (m->figures.entries == m->figures.most) {
        memo_remove(m, TAILQ_FIRST(&m->used));
        m->figures.evicted++;
    }
    struct memo_entry *e = mem_zalloc(1, sizeof(*e) + m->value_size + len);
    e->key = e->value + m->value_size;
    e->key_len = len;
    memcpy(e->value + m->value_size, key, len);
    (void)mem_need(tsearch(e, &m->all, memo_compare));
    TAILQ_INSERT_TAIL(&m->used, e, next);
    m->figures.entries++;
    return e;
}

bool memo_get(struct memo *m, const void *key, size_t key_len, int64_t now_ms, void *ret)
{
    thr_lock(&m->lock);
    struct memo_entry *e = memo_find(m, key, key_len);
    if (e != NULL && now_ms - e->put_ms >= m->figures.keep_ms) {
        memo_remove(m, e);
        m->figures.aged++;
        e = NULL;
    }
    if (e != NULL) {
        m->figures.hits++;
        memcpy(ret, e->value, m->value_size);
        TAILQ_REMOVE(&m->used, e, next);
        TAILQ_INSERT_TAIL(&m->used, e, next);
    } else {
        m->figures.misses++;
    }
    thr_unlock(&m->lock);
    return e != NULL;
}

void memo_put(struct memo *m, const void *key, size_t key_len, int64_t now_ms, const void *value)
{
    thr_lock(&m->lock);
    struct memo_entry *e = memo_find(m, key, key_len);
    if (e == NULL)
        e = memo_add(m, key, key_len);
    memcpy(e->value, value, m->value_size);
    e->put_ms = now_ms;
    TAILQ_REMOVE(&m->used, e, next);
    TAILQ_INSERT_TAIL(&m->used, e, next);
    thr_unlock(&m->lock);
}

void memo_drop(struct memo *m, const void *key, size_t key_len, bool wrong)
{
    thr_lock(&m->lock);
    struct memo_entry *e = memo_find(m, key, key_len);
    if (e != NULL) {
        memo_remove(m, e);
        m->figures.wrong += wrong;
    }
    thr_unlock(&m->lock);
}
