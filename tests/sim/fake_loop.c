/* In the place of core/loop_poll.o, loop_libevent.o and loop_bell.o: a loop waits for descriptors of the
 * simulation, and which of those that are ready comes first is the seed's. */
#include "config.h"

#include "sim.h"

#include "../../src/core/loop_private.h"

#include "base/mem.h"

#include <stdlib.h>

struct fake_loop {
    struct loop loop;            /* first */
    struct loop_watch **watches; /* NULL: stopped in this turn */
    size_t count, cap;
};

static struct fake_loop *fake_of(struct loop *loop)
{
    return (struct fake_loop *)loop;
}

static struct loop *fake_open(struct err *err UNUSED)
{
    struct fake_loop *f = mem_zalloc(1, sizeof(*f));
    return &f->loop;
}

static void fake_close(struct loop *loop)
{
    free(fake_of(loop)->watches);
    free(loop);
}

static void fake_watch(struct loop_watch *w)
{
    struct fake_loop *f = fake_of(w->loop);
    f->watches = mem_grow(f->watches, f->count, &f->cap, 16, sizeof(f->watches[0]));
    w->storage.place = f->count;
    f->watches[f->count++] = w;
}

static void fake_unwatch(struct loop_watch *w)
{
    fake_of(w->loop)->watches[w->storage.place] = NULL;
}

static void close_holes(struct fake_loop *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (f->watches[i] == NULL)
            continue;
        f->watches[n] = f->watches[i];
        f->watches[n]->storage.place = n;
        n++;
    }
    f->count = n;
}

static bool is_ready(const struct loop_watch *w)
{
    return w != NULL && sim_fd_ready(w->fd, w->readiness == LOOP_WRITABLE);
}

static bool any_ready(void *arg)
{
    const struct fake_loop *f = arg;
    for (size_t i = 0; i < f->count; i++)
        if (is_ready(f->watches[i]))
            return true;
    return false;
}

static void fake_turn(struct loop *loop, int64_t wait_us)
{
    struct fake_loop *f = fake_of(loop);
    close_holes(f);
    int64_t until = wait_us < 0 ? INT64_MAX : sim_now_us() + wait_us;
    if (!sim_wait(any_ready, f, until))
        return;
    size_t count = f->count, first = sim_rand((uint32_t)count), step = sim_rand(2) ? 1 : count - 1;
    bool *ready = mem_zalloc(count, sizeof(*ready)); /* as poll(2) tells once */
    for (size_t i = 0; i < count; i++)
        ready[i] = is_ready(f->watches[i]);
    bool goes_on = true;
    for (size_t k = 0; k < count && goes_on; k++) {
        size_t i = (first + k * step) % count;
        if (!ready[i] || f->watches[i] == NULL)
            continue;
        f->watches[i]->fn(f->watches[i]->arg);
        goes_on = loop_turn_goes_on(loop) && !sim_chance(50);
    }
    free(ready);
}

static const char *fake_version(void)
{
    return "simulated";
}

const struct loop_backend loop_poll = {.open = fake_open,
                                       .close = fake_close,
                                       .turn = fake_turn,
                                       .watch = fake_watch,
                                       .unwatch = fake_unwatch};
const struct loop_backend loop_libevent = {.open = fake_open,
                                           .close = fake_close,
                                           .turn = fake_turn,
                                           .watch = fake_watch,
                                           .unwatch = fake_unwatch,
                                           .version = fake_version};

/* ---- the bell ---- */

bool loop_bell_open(struct loop *loop, struct err *err UNUSED)
{
    loop->bell[0] = loop->bell[1] = sim_fd_open(0);
    return true;
}

void loop_bell_close(struct loop *loop)
{
    sim_fd_close(loop->bell[0]);
}

void loop_bell_ring(struct loop *loop)
{
    sim_bell_set(loop->bell[0], true);
}

void loop_bell_drain(struct loop *loop)
{
    sim_bell_set(loop->bell[0], false);
}
