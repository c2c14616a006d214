/* The network, in the place of drivers/wire.o and drivers/exchange.o: datagrams that get lost, come late or twice,
 * between sockets of the engine and agents of the plan.  Device number n has the address 10.1.0.n. */
#include "config.h"

#include "sim.h"

#include "base/clock.h"
#include "base/mem.h"
#include "drivers/exchange.h"
#include "drivers/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { FD_BELL, FD_UDP, FD_TCP };
enum { FDS_MAX = 512, FIRST_FD = 5000, QUEUE = 16, PLAIN_PORT = 161, TCP_US = 400 };

struct datagram {
    struct address from;
    size_t len;
    uint8_t bytes[];
};

struct socket {
    bool used;
    int kind;
    uint32_t generation;
    bool rings, connected, refused, connecting;
    struct address to;
    int error; /* of the next receive */
    struct datagram *queue[QUEUE];
    size_t count;
};

static struct {
    struct socket fds[FDS_MAX];
    size_t open;
    int64_t until_us;
    uint32_t generation;
    uint32_t messages[PLAN_DEVICES + 1]; /* sent to the device so far */
} net;

/* ---- descriptors ---- */

int sim_fd_open(int kind)
{
    size_t i = 0;
    while (i < FDS_MAX && net.fds[i].used)
        i++;
    SIM_CHECK(i < FDS_MAX, "descriptors leak");
    net.fds[i] = (struct socket){.used = true, .kind = kind, .generation = ++net.generation};
    net.open++;
    return FIRST_FD + (int)i;
}

static struct socket *socket_of(int fd)
{
    SIM_CHECK(fd >= FIRST_FD && fd < FIRST_FD + FDS_MAX && net.fds[fd - FIRST_FD].used,
              "descriptor %d is used, but not open", fd);
    return &net.fds[fd - FIRST_FD];
}

void sim_fd_close(int fd)
{
    struct socket *s = socket_of(fd);
    while (s->count > 0)
        free(s->queue[--s->count]);
    s->used = false;
    net.open--;
}

bool sim_fd_ready(int fd, bool writable)
{
    const struct socket *s = socket_of(fd);
    switch (s->kind) {
    case FD_BELL: return s->rings && !writable;
    case FD_UDP: return writable || s->count > 0 || s->error != 0;
    default: return !s->connecting;
    }
}

void sim_bell_set(int fd, bool rings)
{
    socket_of(fd)->rings = rings;
    if (rings)
        sim_kick();
}

size_t sim_fds_open(void)
{
    return net.open;
}

void sim_net_until(int64_t us)
{
    us += plan_slack_ms(sim_plan()) * 1000;
    if (us < net.until_us)
        net.until_us = us;
}

void sim_net_begin(void)
{
    net.until_us = INT64_MAX;
    memset(net.messages, 0, sizeof(net.messages));
}

void sim_net_end(void)
{
    if (sim_hanging() == 0)
        SIM_CHECK(net.open == 0, "%zu descriptors are left", net.open);
    for (size_t i = 0; i < FDS_MAX; i++)
        if (net.fds[i].used)
            sim_fd_close(FIRST_FD + (int)i);
}

/* ---- the way to the agents and back ---- */

/* A message on its way; at the agent it becomes the answer. */
struct parcel {
    int fd;
    uint32_t generation;
    size_t device;
    uint32_t number;
    bool snmp, back, refusal;
    int64_t after_us;
    struct address peer;
    size_t len;
    uint8_t bytes[AGENTS_ROOM];
};

static void parcel_arrive(void *arg);

/* The plan's device at that address. */
static bool find_device(const struct address *to, size_t *ret)
{
    const struct plan *p = sim_plan();
    uint32_t n = ntohl(to->sa.v4.sin_addr.s_addr) & 0xff;
    for (size_t i = 0; i < p->device_count; i++) {
        if (p->devices[i].id != n)
            continue;
        *ret = i;
        return true;
    }
    return false;
}

static bool agent_lives(const struct plan_device *d)
{
    int64_t ms = (sim_now_us() - sim_start_us()) / 1000;
    switch (d->agent) {
    case AGENT_ALIVE:
    case AGENT_REFUSES: return true;
    case AGENT_DIES: return ms < d->agent_ms;
    case AGENT_RETURNS: return ms >= d->agent_ms;
    case AGENT_DEAD: break;
    }
    return false;
}

/* What happens to a message depends on its number alone, so that a smaller plan meets the same faults. */
static bool happens(const struct parcel *p, int what, uint32_t per_mille)
{
    const struct plan *plan = sim_plan();
    uint64_t key = ((uint64_t)plan->devices[p->device].id << 32 | p->number) * 8 + (uint64_t)what;
    return plan_mix(plan->seed, key) % 1000 < per_mille;
}

static int64_t transit_us(const struct parcel *p, int what)
{
    const struct plan_device *d = &sim_plan()->devices[p->device];
    uint64_t noise = plan_mix(sim_plan()->seed + 5, (uint64_t)p->number * 16 + (uint64_t)what);
    int64_t us = d->delay_us / 2 + (int64_t)(noise % (uint64_t)(d->jitter_us + 1));
    if (p->back && happens(p, 3, d->late))
        us += (int64_t)d->timeout_ms * 1000;
    return us;
}

static void parcel_send(struct parcel *p)
{
    const struct plan_device *d = &sim_plan()->devices[p->device];
    if (!p->refusal && happens(p, p->back ? 1 : 0, d->loss)) {
        free(p);
        return;
    }
    if (happens(p, p->back ? 5 : 4, d->copies)) {
        struct parcel *copy = mem_alloc(sizeof(*copy));
        *copy = *p;
        sim_at(sim_now_us() + 1 + transit_us(p, 6 + p->back), parcel_arrive, copy);
    }
    sim_at(sim_now_us() + 1 + transit_us(p, 8 + p->back), parcel_arrive, p);
}

static void deliver(const struct parcel *p)
{
    struct socket *s = &net.fds[p->fd - FIRST_FD];
    if (!s->used || s->generation != p->generation)
        return;
    if (p->refusal) {
        s->error = ECONNREFUSED;
    } else if (s->count < QUEUE) {
        struct datagram *d = mem_alloc(sizeof(*d) + p->len);
        d->from = p->peer;
        d->len = p->len;
        memcpy(d->bytes, p->bytes, p->len);
        s->queue[s->count++] = d;
    }
    sim_kick();
}

static void parcel_arrive(void *arg)
{
    struct parcel *p = arg;
    const struct plan_device *d = &sim_plan()->devices[p->device];
    if (p->back) {
        deliver(p);
        free(p);
        return;
    }
    p->back = true;
    bool answers = agent_lives(d);
    if (answers && (!p->snmp || d->agent == AGENT_REFUSES))
        p->refusal = true;
    else if (answers)
        answers =
            agents_answer(p->device, p->bytes, p->len, sim_now_us() / 1000, p->bytes, &p->len);
    if (answers)
        parcel_send(p);
    else
        free(p);
}

/* ---- drivers/wire.h ---- */

static int net_open(void *arg UNUSED, int family UNUSED, int type)
{
    return sim_fd_open((type & 0xf) == SOCK_DGRAM ? FD_UDP : FD_TCP);
}

static int net_bind(void *arg UNUSED, int fd, const struct address *local UNUSED)
{
    (void)socket_of(fd);
    return 0;
}

struct knock {
    int fd;
    uint32_t generation;
};

static void connection_made(void *arg)
{
    struct knock *k = arg;
    struct socket *s = &net.fds[k->fd - FIRST_FD];
    if (s->used && s->generation == k->generation) {
        s->connecting = false;
        sim_kick();
    }
    free(k);
}

static int net_connect(void *arg UNUSED, int fd, const struct address *to)
{
    struct socket *s = socket_of(fd);
    size_t device;
    s->to = *to;
    s->connected = true;
    if (s->kind == FD_UDP)
        return 0;
    s->connecting = true;
    if (find_device(to, &device) && agent_lives(&sim_plan()->devices[device])) {
        struct knock *k = mem_zalloc(1, sizeof(*k));
        *k = (struct knock){fd, s->generation};
        s->refused = sim_plan()->devices[device].agent == AGENT_REFUSES;
        sim_at(sim_now_us() + TCP_US + sim_plan()->devices[device].delay_us, connection_made, k);
    }
    return -EINPROGRESS;
}

static int net_error(void *arg UNUSED, int fd)
{
    const struct socket *s = socket_of(fd);
    if (s->connecting)
        return -EINPROGRESS;
    return s->refused ? -ECONNREFUSED : 0;
}

static ssize_t net_send(void *arg UNUSED, int fd, const void *bytes, size_t len,
                        const struct address *to)
{
    struct socket *s = socket_of(fd);
    size_t device;
    const struct address *peer = to != NULL ? to : &s->to;
    SIM_CHECK(to != NULL || s->connected, "a message without an address");
    SIM_CHECK(sim_now_us() <= net.until_us, "a message is sent after the end of polling");
    if (!find_device(peer, &device))
        return (ssize_t)len;
    struct parcel *p = mem_alloc(sizeof(*p));
    SIM_CHECK(len <= sizeof(p->bytes), "a message of %zu bytes", len);
    p->fd = fd;
    p->generation = s->generation;
    p->device = device;
    p->number = net.messages[device]++;
    p->back = p->refusal = false;
    p->snmp = ntohs(peer->sa.v4.sin_port) == PLAIN_PORT;
    p->peer = *peer;
    p->len = len;
    memcpy(p->bytes, bytes, len);
    parcel_send(p);
    return (ssize_t)len;
}

static ssize_t net_receive(void *arg UNUSED, int fd, void *bytes, size_t size,
                           struct address *ret_from)
{
    struct socket *s = socket_of(fd);
    if (s->error != 0) {
        int number = s->error;
        s->error = 0;
        return -number;
    }
    if (s->count == 0)
        return -EAGAIN;
    struct datagram *d = s->queue[0];
    memmove(s->queue, s->queue + 1, --s->count * sizeof(s->queue[0]));
    size_t len = d->len < size ? d->len : size;
    memcpy(bytes, d->bytes, len);
    if (ret_from != NULL)
        *ret_from = d->from;
    free(d);
    return (ssize_t)len;
}

static ssize_t net_receive_report(void *arg UNUSED, int fd UNUSED, void *bytes UNUSED,
                                  size_t size UNUSED, struct wire_report *ret UNUSED)
{
    return -EAGAIN;
}

static bool net_ready(void *arg UNUSED, int fd, short events)
{
    return sim_fd_ready(fd, (events & POLLOUT) != 0);
}

static void net_close(void *arg UNUSED, int fd)
{
    sim_fd_close(fd);
}

static int64_t net_now_us(void *arg UNUSED)
{
    return clock_mono_us();
}

const struct wire wire_sockets = {.open = net_open,
                                  .bind = net_bind,
                                  .connect = net_connect,
                                  .error = net_error,
                                  .send = net_send,
                                  .receive = net_receive,
                                  .receive_report = net_receive_report,
                                  .ready = net_ready,
                                  .close = net_close,
                                  .now_us = net_now_us};

void wire_keep_reports(int fd UNUSED, int family UNUSED)
{
}

/* ---- drivers/exchange.h ---- */

struct blocked {
    const struct exchange *x;
    const struct give_up *give_up;
};

static bool may_go_on(void *arg)
{
    const struct blocked *b = arg;
    const struct want *w = &b->x->want;
    return give_up_is_set(b->give_up) ||
           (w->kind == WANT_IO && sim_fd_ready(w->fd, (w->events & POLLOUT) != 0));
}

static void tell(struct exchange *x, enum exchange_event_kind kind)
{
    exchange_feed(x, &(struct exchange_event){.kind = kind, .now_us = clock_mono_us()});
}

static void kick(void *arg UNUSED)
{
    sim_kick();
}

static void wait_for(struct exchange *x, struct give_up *give_up)
{
    struct blocked b = {x, give_up};
    struct give_up_watch watch = {.told = kick};
    give_up_watch(give_up, &watch);
    bool ready = sim_wait(may_go_on, &b, x->want.until_us);
    give_up_unwatch(give_up, &watch);
    if (give_up_is_set(give_up))
        tell(x, EXCHANGE_GIVE_UP);
    else
        tell(x, ready ? EXCHANGE_READY : EXCHANGE_TIME);
}

static void look_up(struct exchange *x, struct resolver *resolver, struct give_up *give_up)
{
    struct address address;
    struct err err = ERR_INIT;
    bool found = resolver_find(resolver, x->want.name, x->want.family, x->want.until_us / 1000,
                               give_up, &address, &err);
    exchange_feed(x, &(struct exchange_event){.kind = found ? EXCHANGE_ADDRESS_FOUND
                                                            : EXCHANGE_ADDRESS_FAILED,
                                              .now_us = clock_mono_us(),
                                              .address = found ? &address : NULL,
                                              .err = found ? NULL : &err});
}

void exchange_serve(struct exchange *x, struct resolver *resolver, struct give_up *give_up)
{
    if (x->want.kind != WANT_JOB && give_up_is_set(give_up)) {
        tell(x, EXCHANGE_GIVE_UP);
        return;
    }
    switch (x->want.kind) {
    case WANT_NOTHING: break;
    case WANT_ADDRESS: look_up(x, resolver, give_up); break;
    case WANT_JOB:
        x->want.job(x->want.arg);
        tell(x, EXCHANGE_JOB_DONE);
        break;
    case WANT_IO:
    case WANT_TIME: wait_for(x, give_up); break;
    }
}
