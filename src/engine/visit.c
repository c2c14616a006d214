#include "config.h"

#include "engine/visit.h"

#include "base/mem.h"

#include <stdlib.h>

static void visit_finish(struct visit *v, bool complete)
{
    v->finished = true;
    services_learn_oids(v->services, v->device, devrun_learned_oids(v->run));
    if (!complete)
        cycle_drop(v->c, v->device, true);
    writer_put(v->writer, v->rows);
    v->rows = NULL;
    asker_close(v->session);
    v->session = NULL;
    v->calls->over(v->arg, v);
}

/* Carries out what the run asks for.  The visit may be freed afterwards. */
static void visit_carry_on(struct visit *v)
{
    const struct action *a;
    while ((a = devrun_next_action(v->run)) != NULL) {
        if (a->kind == ACTION_ASK) {
            asker_begin(v->session, &a->ask);
        } else if (cycle_apply(v->c, v->device, a, v->rows)) {
            visit_finish(v, a->finished.complete);
            return;
        }
    }
}

static void visit_on_reply(void *arg, const struct reply *reply)
{
    struct visit *v = arg;
    if (!v->calls->go_on(v->arg, v, &reply->at))
        return;
    reply_deliver(reply, v->run);
    visit_carry_on(v);
}

struct visit *visit_new(struct cycle *c, const struct device *device, struct asker *asker,
                        struct writer *writer, const struct visit_calls *calls, void *arg)
{
    struct services *services = asker_get_services(asker);
    struct visit *v = mem_zalloc(1, sizeof(*v));
    *v = (struct visit){
        .c = c,
        .device = device,
        .run = cycle_new_run(c, device, services_known_oids(services, device)),
        .session = asker_open(asker, device, visit_on_reply, v),
        .services = services,
        .writer = writer,
        .rows = batch_new(),
        .calls = calls,
        .arg = arg,
    };
    return v;
}

void visit_start(struct visit *v)
{
    struct moment now = cycle_now();
    devrun_start(v->run, &now);
    visit_carry_on(v);
}

void visit_stop(struct visit *v)
{
    struct moment now = cycle_now();
    devrun_stop(v->run, &now);
    visit_carry_on(v);
}

void visit_take_away(struct visit *v, const struct visit_calls *calls, void *arg)
{
    asker_orphan(v->session); /* its thread may return after the visit is freed */
    v->session = NULL;
    v->calls = calls;
    v->arg = arg;
}

void visit_free(struct visit *v)
{
    if (v == NULL)
        return;
    devrun_free(v->run);
    device_unref(v->device);
    batch_free(v->rows);
    free(v);
}
