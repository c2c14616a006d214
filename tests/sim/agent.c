/* The agents of the plan, by the codec of the simulated agents (tests/support/fakeagent), which shares nothing
 * with the program.  Object .1.3.6.1.4.1.99.D.N of device D has the value D * 1000 + N. */
#include "config.h"

#include "sim.h"

#include "../support/fakeagent/agent.h"

#include <string.h>

enum { ID_MAX = 32, OBJECTS = 100 };

static struct {
    struct farm farm;
    struct set *set;
    struct behaviour behaviours[PLAN_DEVICES];
    struct usm_user user;
    bool made;
} agents;

static void add_number(const uint32_t *arcs, size_t n, enum type type, uint64_t number)
{
    struct value *v = must_realloc(NULL, sizeof(*v));
    *v = (struct value){.type = type, .number = number, .factor = 1};
    value_prepare(v);
    set_add(agents.set, arcs, n, v);
}

static void make_objects(void)
{
    const uint32_t uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0};
    agents.set = set_get(&agents.farm, "all", true);
    add_number(uptime, 9, T_TIMETICKS, 4711);
    const uint32_t descr[] = {1, 3, 6, 1, 2, 1, 1, 1, 0};
    struct value *text = must_realloc(NULL, sizeof(*text));
    *text = (struct value){.type = T_STRING, .bytes = must_copy("a device", 9), .len = 8};
    value_prepare(text);
    set_add(agents.set, descr, 9, text);
    for (uint32_t d = 1; d < ID_MAX; d++)
        for (uint32_t i = 0; i < OBJECTS; i++) {
            const uint32_t arcs[] = {1, 3, 6, 1, 4, 1, 99, d, i};
            add_number(arcs, 9,
                       i % 3 == 0   ? T_COUNTER32
                       : i % 3 == 1 ? T_GAUGE32
                                    : T_INT,
                       d * 1000 + i);
        }
    set_sort(agents.set);
    agents.made = true;
}

static uint32_t address_of(const struct plan_device *d)
{
    return 10U << 24 | 1U << 16 | d->id;
}

void agents_begin(const struct plan *plan)
{
    if (!agents.made)
        make_objects();
    if (!agents.user.set)
        (void)usm_user_parse(&agents.user, "simulant:authenticate");
    for (size_t i = 0; i < plan->device_count; i++) {
        const struct plan_device *d = &plan->devices[i];
        struct behaviour *b = &agents.behaviours[i];
        behaviour_init(b, agents.set);
        b->user = agents.user;
        b->seed = plan->seed;
        b->reorder = d->reverses;
        if (d->too_big_above > 0)
            b->toobig_above = d->too_big_above;
        (void)agent_put(&agents.farm, address_of(d), b);
    }
}

bool agents_answer(size_t device, const uint8_t *bytes, size_t len, int64_t now_ms, uint8_t *ret,
                   size_t *ret_len)
{
    static uint8_t room[REPLY_ROOM];
    struct reply reply = {.buf = room};
    struct agent *a = agent_find(&agents.farm, address_of(&sim_plan()->devices[device]));
    if (agent_handle(&agents.farm, a, bytes, len, now_ms, &reply) != FATE_ANSWER)
        return false;
    memcpy(ret, room, reply.len);
    *ret_len = reply.len;
    return true;
}
