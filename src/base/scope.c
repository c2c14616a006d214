#include "config.h"

#include "base/scope.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

struct scope {
    atomic_int references;
    void *parts[SCOPE_PARTS];
    void (*free_parts[SCOPE_PARTS])(void *state);
};

static _Thread_local struct scope *scope_here;

struct scope *scope_new(void)
{
    struct scope *s = mem_zalloc(1, sizeof(*s));
    s->references = 1;
    return s;
}

struct scope *scope_ref(struct scope *s)
{
    if (s != NULL)
        s->references++;
    return s;
}

void scope_unref(struct scope *s)
{
    if (s == NULL || --s->references > 0)
        return;
    for (int i = SCOPE_PARTS - 1; i >= 0; i--)
        if (s->parts[i] != NULL)
            s->free_parts[i](s->parts[i]);
    free(s);
}

struct scope *scope_get(void)
{
    return scope_here;
}

struct scope *scope_enter(struct scope *s)
{
    struct scope *before = scope_here;
    scope_here = s;
    return before;
}

void *scope_part(enum scope_part part)
{
    return scope_here == NULL ? NULL : scope_here->parts[part];
}

void scope_put(enum scope_part part, void *state, void (*free_part)(void *state))
{
    CHECK(scope_here != NULL && scope_here->parts[part] == NULL);
    scope_here->parts[part] = state;
    scope_here->free_parts[part] = free_part;
}
