#include "config.h"

#include "drivers/exchange.h"

#include "base/clock.h"
#include "base/compiler.h"

#include <poll.h>

static void exchange_tell(struct exchange *x, enum exchange_event_kind kind)
{
    exchange_feed(x, &(struct exchange_event){.kind = kind, .now_us = clock_mono_us()});
}

static void exchange_look_up(struct exchange *x, struct resolver *resolver, struct give_up *give_up)
{
    struct address address;
    struct err err = ERR_INIT;
    bool found = resolver_find(resolver, x->want.name, x->want.family, x->want.until_us / 1000,
                               give_up, &address, &err);
    struct exchange_event event = {
        .kind = found ? EXCHANGE_ADDRESS_FOUND : EXCHANGE_ADDRESS_FAILED,
        .now_us = clock_mono_us(),
        .address = found ? &address : NULL,
        .err = found ? NULL : &err,
    };
    if (give_up_is_set(give_up))
        event = (struct exchange_event){.kind = EXCHANGE_GIVE_UP, .now_us = event.now_us};
    exchange_feed(x, &event);
}

/* One poll(2).  A call that ends without reason, interrupted, is made again by the caller's loop. */
static void exchange_poll(struct exchange *x, const struct give_up *give_up)
{
    int64_t left_us = x->want.until_us - clock_mono_us();
    int64_t left_ms = left_us > 0 ? (left_us - 1) / 1000 + 1 : 0;
    struct pollfd fds[] = {
        {.fd = give_up_fd(give_up), .events = POLLIN},
        {.fd = x->want.kind == WANT_IO ? x->want.fd : -1, .events = x->want.events},
    };
    int n = poll(fds, ARRAY_LEN(fds), left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
    if (n > 0 && fds[0].revents != 0)
        exchange_tell(x, EXCHANGE_GIVE_UP);
    else if (n > 0)
        exchange_tell(x, EXCHANGE_READY);
    else if (clock_mono_us() >= x->want.until_us)
        exchange_tell(x, EXCHANGE_TIME);
}

/* A job is done in any case: the thread that begins one waits for it. */
void exchange_serve(struct exchange *x, struct resolver *resolver, struct give_up *give_up)
{
    if (x->want.kind != WANT_JOB && give_up_is_set(give_up)) {
        exchange_tell(x, EXCHANGE_GIVE_UP);
        return;
    }
    switch (x->want.kind) {
    case WANT_NOTHING: break;
    case WANT_ADDRESS: exchange_look_up(x, resolver, give_up); break;
    case WANT_JOB:
        x->want.job(x->want.arg);
        exchange_tell(x, EXCHANGE_JOB_DONE);
        break;
    case WANT_IO:
    case WANT_TIME: exchange_poll(x, give_up); break;
    }
}
