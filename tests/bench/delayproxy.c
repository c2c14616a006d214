/*
 * A longer way to the database: a proxy between two local sockets that delays what it passes.
 *
 *     delayproxy LISTEN SERVER TO_SERVER_US TO_CLIENT_US
 *
 * What comes in is passed on that many microseconds later, whatever its length, so that each message comes late and none
 * comes slowly. LISTEN and SERVER are paths. "ready" on stdout says that it listens; it ends when stdin closes.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, epoll_pwait2 */
#endif

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, QUEUE_MAX = 64 << 20, EVENTS = 64 };

struct chunk {
    struct chunk *next;
    int64_t due_us;
    size_t at, len;
    uint8_t data[];
};

/* One direction of a connection: read from `from`, written to `to`. */
struct flow {
    int from, to;
    int64_t delay_us;
    struct chunk *first, **end;
    size_t queued;
    bool eof, blocked, over;
};

struct end {
    struct pair *pair; /* NULL: the listener, or stdin */
    int fd;
    uint32_t interest;
};

struct pair {
    struct pair *next;
    struct end client, server;
    struct flow up, down;
    bool broken;
};

static int epoll, listener;
static struct pair *pairs;
static const char *server_path;
static int64_t up_us, down_us;

static void die(const char *what)
{
    fprintf(stderr, "delayproxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int local_socket(const char *path, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof name->sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(name->sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        die("socket");
    return fd;
}

/* ---- what epoll is to watch ---- */

static void watch(struct end *e, uint32_t interest)
{
    if (interest == e->interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = e};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, e->fd, &event) != 0)
        die("epoll_ctl");
    e->interest = interest;
}

static void add(struct end *e)
{
    struct epoll_event event = {.events = e->interest = EPOLLIN, .data.ptr = e};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, e->fd, &event) != 0)
        die("epoll_ctl");
}

static uint32_t interest(const struct flow *in, const struct flow *out)
{
    uint32_t wanted = 0;
    if (!in->eof && in->queued < QUEUE_MAX)
        wanted |= EPOLLIN;
    if (out->blocked)
        wanted |= EPOLLOUT;
    return wanted;
}

/* ---- passing on ---- */

static void flow_read(struct pair *p, struct flow *f, int64_t now)
{
    while (!f->eof && f->queued < QUEUE_MAX) {
        struct chunk *c = malloc(sizeof *c + CHUNK);
        if (c == NULL)
            die("malloc");
        ssize_t n = read(f->from, c->data, CHUNK);
        if (n <= 0) {
            free(c);
            f->eof = n == 0;
            p->broken |= n < 0 && errno != EAGAIN && errno != EINTR;
            return;
        }
        c->next = NULL;
        c->due_us = now + f->delay_us;
        c->at = 0;
        c->len = (size_t)n;
        *f->end = c;
        f->end = &c->next;
        f->queued += c->len;
        if (n < CHUNK)
            return;
    }
}

static void flow_write(struct pair *p, struct flow *f, int64_t now)
{
    f->blocked = false;
    while (f->first != NULL && f->first->due_us <= now) {
        struct chunk *c = f->first;
        ssize_t n = send(f->to, c->data + c->at, c->len - c->at, MSG_NOSIGNAL);
        if (n < 0) {
            f->blocked = errno == EAGAIN || errno == EINTR;
            p->broken |= !f->blocked;
            return;
        }
        c->at += (size_t)n;
        f->queued -= (size_t)n;
        if (c->at < c->len)
            continue;
        f->first = c->next;
        if (f->first == NULL)
            f->end = &f->first;
        free(c);
    }
    if (f->eof && f->first == NULL && !f->over) {
        f->over = true;
        shutdown(f->to, SHUT_WR);
    }
}

static void flow_free(struct flow *f)
{
    while (f->first != NULL) {
        struct chunk *c = f->first;
        f->first = c->next;
        free(c);
    }
}

/* ---- connections ---- */

static void accept_one(void)
{
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    struct sockaddr_un name;
    int server = local_socket(server_path, &name);
    if (connect(server, (struct sockaddr *)&name, sizeof name) != 0) {
        close(client);
        close(server);
        return;
    }
    struct pair *p = malloc(sizeof *p);
    if (p == NULL)
        die("malloc");
    *p = (struct pair){
        .next = pairs,
        .client = {.pair = p, .fd = client},
        .server = {.pair = p, .fd = server},
        .up = {.from = client, .to = server, .delay_us = up_us},
        .down = {.from = server, .to = client, .delay_us = down_us},
    };
    p->up.end = &p->up.first;
    p->down.end = &p->down.first;
    pairs = p;
    add(&p->client);
    add(&p->server);
}

static void pair_free(struct pair *p)
{
    close(p->client.fd);
    close(p->server.fd);
    flow_free(&p->up);
    flow_free(&p->down);
    free(p);
}

static int64_t earlier(const struct flow *f, int64_t due)
{
    return f->first != NULL && !f->blocked && f->first->due_us < due ? f->first->due_us : due;
}

/* Passes on what is due, drops what has ended, and returns when the next chunk is due. */
static int64_t tend(int64_t now)
{
    int64_t due = INT64_MAX;
    for (struct pair **at = &pairs; *at != NULL;) {
        struct pair *p = *at;
        flow_write(p, &p->up, now);
        flow_write(p, &p->down, now);
        if (p->broken || (p->up.over && p->down.over)) {
            *at = p->next;
            pair_free(p);
            continue;
        }
        watch(&p->client, interest(&p->up, &p->down));
        watch(&p->server, interest(&p->down, &p->up));
        due = earlier(&p->up, earlier(&p->down, due));
        at = &p->next;
    }
    return due;
}

static void handle(const struct epoll_event *event, int64_t now)
{
    const struct end *e = event->data.ptr;
    struct pair *p = e->pair;
    if (p == NULL) {
        if (e->fd == STDIN_FILENO)
            exit(0);
        accept_one();
        return;
    }
    struct flow *in = e == &p->client ? &p->up : &p->down;
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        flow_read(p, in, now);
    if (event->events & (EPOLLHUP | EPOLLERR) && in->eof)
        p->broken = true; /* both ways have ended */
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: delayproxy LISTEN SERVER TO_SERVER_US TO_CLIENT_US\n");
        return 2;
    }
    server_path = argv[2];
    up_us = strtol(argv[3], NULL, 10);
    down_us = strtol(argv[4], NULL, 10);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* nanoseconds; 50 us is the default */
    struct sockaddr_un name;
    listener = local_socket(argv[1], &name);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 128) != 0)
        die(argv[1]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        die("epoll");
    struct end listening = {.fd = listener}, input = {.fd = STDIN_FILENO};
    add(&listening);
    add(&input);
    puts("ready");
    fflush(stdout);
    for (int64_t due = INT64_MAX;;) {
        struct epoll_event events[EVENTS];
        int64_t left = due - clock_us();
        left = left > 0 ? left : 0;
        struct timespec wait = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
        int n = epoll_pwait2(epoll, events, EVENTS, due == INT64_MAX ? NULL : &wait, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll_pwait2");
        int64_t now = clock_us();
        for (int i = 0; i < n; i++)
            handle(&events[i], now);
        due = tend(now);
    }
}
