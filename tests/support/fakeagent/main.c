/*
 * fakeagent: thousands of simulated SNMP agents on loopback addresses, one process, one
 * thread.
 *
 * One IPv4 socket receives for all of 127.0.0.0/8 (and, if the spec wants it, one IPv6 socket ::1);
 * answers go out from the address that was asked. The language of the spec and the commands on
 * stdin are in README.md.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* recvmmsg */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "socket.h"
#include "spec.h"

enum {
    IN_SLOTS = 64,
    MAX_COPIES = 16,
    OUT_SLOTS = IN_SLOTS + MAX_COPIES,
    IN_ROOM = 65536,
    CONTROL_ROOM = 64,
    ROUNDS = 8,          /* batches from one socket before the other descriptors have their turn */
    DRAIN_ROUNDS = 2048, /* more than a full socket buffer */
    MAX_PENDING = 200000,
    COMMAND_ROOM = 65536,
    PORTS_MAX = 16,
};

/* A socket that receives, and another one that only sends answers from a wrong address. */
struct link {
    int family;
    int fd;
    int other_fd;
};

/* Where an answer goes, and from where. */
struct target {
    struct link *link;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    uint32_t local; /* host order; unused for IPv6 */
    enum source source;
};

struct envelope {
    struct iovec iov;
    struct sockaddr_storage peer;
    _Alignas(struct cmsghdr) char control[CONTROL_ROOM];
};

/* An answer that waits for its time. */
struct pending {
    int64_t due_us;
    uint64_t order;
    struct target target;
    size_t len;
    uint32_t copies;
    uint8_t data[];
};

struct server {
    struct farm farm;
    struct spec spec;
    struct link v4, v6, more[PORTS_MAX - 1]; /* further ports of the same agents, IPv4 only */
    unsigned n_more;
    int epoll, signals;
    FILE *log;
    const char *log_path;
    int64_t start_us, now_us;
    int64_t first_us; /* when the first datagram since the last "first" came; 0: none has */
    struct pending **heap;
    size_t pending, heap_cap;
    uint64_t order;
    bool exit_on_eof, stop;
    char command[COMMAND_ROOM];
    size_t command_len;
    struct mmsghdr in[IN_SLOTS], out[OUT_SLOTS];
    struct envelope in_env[IN_SLOTS], out_env[OUT_SLOTS];
    uint8_t in_buf[IN_SLOTS][IN_ROOM];
    uint8_t out_buf[OUT_SLOTS][REPLY_ROOM];
    unsigned out_n;
};

static struct server server;

static int64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- sending ---- */

static void fill_message(struct msghdr *m, struct envelope *e, const struct target *t,
                         uint8_t *data, size_t len)
{
    e->iov = (struct iovec){.iov_base = data, .iov_len = len};
    memcpy(&e->peer, &t->peer, t->peer_len);
    *m = (struct msghdr){
        .msg_name = &e->peer, .msg_namelen = t->peer_len, .msg_iov = &e->iov, .msg_iovlen = 1};
    if (t->link->family != AF_INET)
        return;
    m->msg_control = e->control;
    m->msg_controllen = CMSG_SPACE(sizeof(struct in_pktinfo));
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    struct in_pktinfo info = {.ipi_spec_dst.s_addr =
                                  htonl(t->source == SOURCE_ADDR ? t->local + 1 : t->local)};
    memcpy(CMSG_DATA(c), &info, sizeof info);
}

static int socket_for(const struct target *t)
{
    /* ::1 has no neighbour to lie with */
    bool other = t->source == SOURCE_PORT || (t->source == SOURCE_ADDR && t->link == &server.v6);
    return other ? t->link->other_fd : t->link->fd;
}

static void send_now(struct server *sv, const struct target *t, uint8_t *data, size_t len,
                     uint32_t copies)
{
    struct msghdr m;
    struct envelope e;
    fill_message(&m, &e, t, data, len);
    for (uint32_t i = 0; i < copies; i++) {
        if (sendmsg(socket_for(t), &m, MSG_DONTWAIT) >= 0)
            sv->farm.counters.answers++;
        else
            sv->farm.counters.send_errors++;
    }
}

static void flush_out(struct server *sv, const struct link *l)
{
    unsigned done = 0;
    while (done < sv->out_n) {
        int n = sendmmsg(l->fd, sv->out + done, sv->out_n - done, MSG_DONTWAIT);
        if (n > 0) {
            sv->farm.counters.answers += (unsigned)n;
            done += (unsigned)n;
        } else if (errno != EINTR) {
            sv->farm.counters.send_errors++;
            done++;
        }
    }
    sv->out_n = 0;
}

/* ---- answers that wait: a binary heap, earliest first ---- */

static bool earlier(const struct pending *a, const struct pending *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void note_waiting(struct server *sv, const struct target *t, int more)
{
    struct agent *a = agent_find(&sv->farm, t->local);
    if (a == NULL)
        return;
    a->waiting += (uint64_t)more;
    if (a->waiting > a->most_waiting)
        a->most_waiting = a->waiting;
}

static void hold(struct server *sv, const struct target *t, const struct reply *r)
{
    if (sv->pending == MAX_PENDING) {
        sv->farm.counters.overflow++;
        return;
    }
    if (sv->pending == sv->heap_cap) {
        sv->heap_cap = sv->heap_cap > 0 ? sv->heap_cap * 2 : 256;
        sv->heap = must_realloc(sv->heap, sv->heap_cap * sizeof *sv->heap);
    }
    struct pending *p = must_realloc(NULL, sizeof *p + r->len);
    *p = (struct pending){.due_us = sv->now_us + (int64_t)r->delay_ms * 1000,
                          .order = sv->order++,
                          .target = *t,
                          .len = r->len,
                          .copies = r->copies};
    if (r->len > 0)
        memcpy(p->data, r->buf, r->len);
    note_waiting(sv, t, 1);
    size_t i = sv->pending++;
    for (; i > 0 && earlier(p, sv->heap[(i - 1) / 2]); i = (i - 1) / 2)
        sv->heap[i] = sv->heap[(i - 1) / 2];
    sv->heap[i] = p;
}

static void drop_earliest(struct server *sv)
{
    free(sv->heap[0]);
    struct pending *p = sv->heap[--sv->pending];
    size_t i = 0;
    for (size_t child = 1; child < sv->pending; child = 2 * i + 1) {
        if (child + 1 < sv->pending && earlier(sv->heap[child + 1], sv->heap[child]))
            child++;
        if (!earlier(sv->heap[child], p))
            break;
        sv->heap[i] = sv->heap[child];
        i = child;
    }
    sv->heap[i] = p;
}

static void send_due(struct server *sv)
{
    while (sv->pending > 0 && sv->heap[0]->due_us <= sv->now_us) {
        struct pending *p = sv->heap[0];
        note_waiting(sv, &p->target, -1);
        send_now(sv, &p->target, p->data, p->len, p->copies);
        drop_earliest(sv);
    }
}

static int wait_ms(const struct server *sv)
{
    if (sv->pending == 0)
        return -1;
    int64_t left = sv->heap[0]->due_us - sv->now_us;
    return left > 0 ? (int)((left + 999) / 1000) : 0;
}

/* ---- the log ---- */

static void format_address(uint32_t addr, char text[INET_ADDRSTRLEN])
{
    struct in_addr in = {.s_addr = htonl(addr)};
    if (addr == ADDR_V6_LOOPBACK)
        memcpy(text, "::1", 4);
    else
        inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
}

static void log_oid(FILE *log, const struct snmp_varbind *vb)
{
    uint32_t arcs[OID_MAX_ARCS];
    size_t n;
    if (!ber_oid_decode(vb->name, vb->name_len, arcs, &n)) {
        fputs("?", log);
        return;
    }
    for (size_t i = 0; i < n; i++)
        fprintf(log, ".%" PRIu32, arcs[i]);
}

static void log_request(struct server *sv, uint32_t addr, enum fate fate)
{
    static const char *const pdus[] = {"get", "getnext", "response", "set", "trap", "getbulk"};
    static const char *const fates[] = {"answered", "dropped", "malformed", "community"};
    const struct snmp_request *req = &sv->farm.request;
    char text[INET_ADDRSTRLEN];
    int64_t t = sv->now_us - sv->start_us;
    format_address(addr, text);
    fprintf(sv->log, "%" PRId64 ".%06" PRId64 " %s ", t / 1000000, t % 1000000, text);
    if (fate == FATE_MALFORMED) {
        fprintf(sv->log, "- - - - - malformed\n");
        return;
    }
    fprintf(sv->log, "%s %s %" PRId32 " %zu ",
            sv->farm.v3               ? "3"
            : req->version == SNMP_V1 ? "1"
                                      : "2c",
            pdus[req->pdu - SNMP_GET], req->id, req->n);
    if (req->n > 0)
        log_oid(sv->log, &req->vb[0]);
    else
        fputs("-", sv->log);
    fprintf(sv->log, " %s\n", fates[fate]);
}

static void open_log(struct server *sv)
{
    if (sv->spec.log_path == NULL || sv->spec.log_path == sv->log_path)
        return;
    if (sv->log != NULL)
        fclose(sv->log);
    sv->log_path = sv->spec.log_path;
    sv->log = fopen(sv->log_path, "we");
    if (sv->log == NULL)
        die(sv->log_path);
}

/* ---- serving ---- */

/* The local address a datagram was sent to, in host order; 0 if unknown. */
static uint32_t local_address(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_PKTINFO)
            continue;
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        return ntohl(info.ipi_addr.s_addr);
    }
    return 0;
}

static void post(struct server *sv, const struct target *t, const struct reply *r)
{
    if (r->delay_ms > 0) {
        hold(sv, t, r);
    } else if (socket_for(t) != t->link->fd) {
        send_now(sv, t, r->buf, r->len, r->copies);
    } else {
        for (uint32_t i = 0; i < r->copies; i++, sv->out_n++)
            fill_message(&sv->out[sv->out_n].msg_hdr, &sv->out_env[sv->out_n], t, r->buf, r->len);
    }
}

static void serve_one(struct server *sv, struct link *l, unsigned i)
{
    struct msghdr *m = &sv->in[i].msg_hdr;
    struct counters *c = &sv->farm.counters;
    uint32_t addr = l->family == AF_INET ? local_address(m) : ADDR_V6_LOOPBACK;
    c->requests++;
    if (l->family == AF_INET && addr >> 24 != 127) {
        c->not_loopback++;
        return;
    }
    struct agent *a = agent_find(&sv->farm, addr);
    if (a == NULL) {
        c->unknown_address++;
        return;
    }
    if (sv->out_n > OUT_SLOTS - MAX_COPIES)
        flush_out(sv, l);
    struct reply r = {.buf = sv->out_buf[sv->out_n]};
    enum fate fate = agent_handle(&sv->farm, a, sv->in_buf[i], sv->in[i].msg_len,
                                  (sv->now_us - sv->start_us) / 1000, &r);
    c->dropped += fate == FATE_DROP;
    c->decode_errors += fate == FATE_MALFORMED;
    c->bad_community += fate == FATE_COMMUNITY;
    if (sv->log != NULL)
        log_request(sv, addr, fate);
    if (fate != FATE_ANSWER)
        return;
    struct target t = {.link = l, .peer_len = m->msg_namelen, .local = addr, .source = r.source};
    memcpy(&t.peer, m->msg_name, m->msg_namelen);
    post(sv, &t, &r);
}

/* One batch; false if nothing was there. */
static bool serve_batch(struct server *sv, struct link *l)
{
    for (unsigned i = 0; i < IN_SLOTS; i++) {
        struct envelope *e = &sv->in_env[i];
        e->iov = (struct iovec){.iov_base = sv->in_buf[i], .iov_len = IN_ROOM};
        sv->in[i].msg_hdr = (struct msghdr){.msg_name = &e->peer,
                                            .msg_namelen = sizeof e->peer,
                                            .msg_iov = &e->iov,
                                            .msg_iovlen = 1,
                                            .msg_control = e->control,
                                            .msg_controllen = sizeof e->control};
    }
    int n = recvmmsg(l->fd, sv->in, IN_SLOTS, MSG_DONTWAIT, NULL);
    if (n > 0 && sv->first_us == 0)
        sv->first_us = clock_us();
    for (int i = 0; i < n; i++)
        serve_one(sv, l, (unsigned)i);
    flush_out(sv, l);
    return n > 0;
}

/* Bounded by `rounds`, so that a flood cannot keep signals and commands out. */
static void serve(struct server *sv, struct link *l, int rounds)
{
    while (l->fd >= 0 && rounds-- > 0 && serve_batch(sv, l))
        sv->now_us = clock_us();
    if (sv->log != NULL)
        fflush(sv->log);
}

/* ---- signals and commands ---- */

static uint32_t kernel_drops(const struct link *l)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;
    if (l->fd < 0 || getsockopt(l->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
        return 0;
    return info[SK_MEMINFO_DROPS];
}

static void print_counters(const struct server *sv)
{
    const struct counters *c = &sv->farm.counters;
    uint32_t drops = kernel_drops(&sv->v4) + kernel_drops(&sv->v6);
    for (unsigned i = 0; i < sv->n_more; i++)
        drops += kernel_drops(&sv->more[i]);
    printf("{\"requests\": %" PRIu64 ", \"answers\": %" PRIu64 ", \"varbinds\": %" PRIu64
           ", \"dropped\": %" PRIu64 ", \"decode_errors\": %" PRIu64 ", \"bad_community\": %" PRIu64
           ", \"unknown_address\": %" PRIu64 ", \"not_loopback\": %" PRIu64
           ", \"overflow\": %" PRIu64 ", \"send_errors\": %" PRIu64 ", \"kernel_drops\": %" PRIu32
           ", \"pending\": %zu, \"agents\": %zu}\n",
           c->requests, c->answers, c->varbinds, c->dropped, c->decode_errors, c->bad_community,
           c->unknown_address, c->not_loopback, c->overflow, c->send_errors, drops, sv->pending,
           sv->farm.n);
    fflush(stdout);
}

static void print_agent(const struct server *sv, const char *text)
{
    struct in_addr in;
    uint32_t addr = strcmp(text, "::1") == 0             ? ADDR_V6_LOOPBACK
                    : inet_pton(AF_INET, text, &in) == 1 ? ntohl(in.s_addr)
                                                         : 0;
    const struct agent *a = agent_find(&sv->farm, addr);
    if (a == NULL)
        printf("error no agent '%s'\n", text);
    else
        printf("{\"requests\": %" PRIu64 ", \"answers\": %" PRIu64 ", \"most_waiting\": %" PRIu64
               "}\n",
               a->requests, a->answers, a->most_waiting);
    fflush(stdout);
}

static void command(struct server *sv, char *line)
{
    /* whatever was sent before the command was written is in the sockets by now, and counts */
    serve(sv, &sv->v4, DRAIN_ROUNDS);
    serve(sv, &sv->v6, DRAIN_ROUNDS);
    for (unsigned i = 0; i < sv->n_more; i++)
        serve(sv, &sv->more[i], DRAIN_ROUNDS);
    if (strcmp(line, "counters") == 0) {
        print_counters(sv);
        return;
    }
    if (strncmp(line, "counters ", 9) == 0) {
        print_agent(sv, line + 9);
        return;
    }
    if (strcmp(line, "first") == 0) {
        printf("{\"first_us\": %" PRId64 "}\n", sv->first_us);
        fflush(stdout);
        sv->first_us = 0;
        return;
    }
    sv->spec.now_ms = (sv->now_us - sv->start_us) / 1000;
    if (!spec_line(&sv->spec, line))
        printf("error %s\n", sv->spec.error);
    else if (sv->spec.v6 && sv->v6.fd < 0)
        printf("error %s:%d: ::1 must be in the spec from the start\n", sv->spec.file,
               sv->spec.line);
    else
        puts("ok");
    open_log(sv);
    fflush(stdout);
}

static void read_commands(struct server *sv)
{
    size_t room = sizeof(sv->command) - 1; /* of a line without its end */
    if (sv->command_len >= room) {
        sv->stop = true;
        return;
    }
    ssize_t n = read(STDIN_FILENO, sv->command + sv->command_len, room - sv->command_len);
    if (n <= 0) {
        sv->stop |= n == 0 || (errno != EINTR && errno != EAGAIN);
        return;
    }
    sv->command_len += (size_t)n;
    char *line = sv->command, *end = sv->command + sv->command_len;
    for (char *nl; (nl = memchr(line, '\n', (size_t)(end - line))) != NULL; line = nl + 1) {
        *nl = '\0';
        command(sv, line);
    }
    sv->command_len = (size_t)(end - line);
    memmove(sv->command, line, sv->command_len);
    sv->stop |= sv->command_len == room;
}

static void read_signal(struct server *sv)
{
    struct signalfd_siginfo info;
    if (read(sv->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGUSR1)
        print_counters(sv);
    else
        sv->stop = true;
}

/* ---- setting up ---- */

static void watch(struct server *sv, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(sv->epoll, EPOLL_CTL_ADD, fd, &e) != 0)
        die(fd == STDIN_FILENO ? "--exit-on-eof needs a pipe on stdin" : "epoll_ctl");
}

static void open_other(struct link *l)
{
    l->other_fd = open_socket(l->family);
    if (!bind_socket(l->other_fd, l->family, 0))
        die("bind");
}

/* The same port on both families; with port 0 a few are tried until one is free on both. */
static uint16_t open_links(struct server *sv, uint16_t port)
{
    sv->v4 = (struct link){.family = AF_INET, .fd = -1, .other_fd = -1};
    sv->v6 = (struct link){.family = AF_INET6, .fd = -1, .other_fd = -1};
    for (int tries = 0;; tries++) {
        sv->v4.fd = open_socket(AF_INET);
        if (!bind_socket(sv->v4.fd, AF_INET, port))
            die("bind");
        uint16_t got = port_of(sv->v4.fd);
        if (!sv->spec.v6) {
            open_other(&sv->v4);
            return got;
        }
        sv->v6.fd = open_socket(AF_INET6);
        if (bind_socket(sv->v6.fd, AF_INET6, got)) {
            open_other(&sv->v4);
            open_other(&sv->v6);
            return got;
        }
        if (port != 0 || tries == 16)
            die("bind ::1");
        close(sv->v4.fd);
        close(sv->v6.fd);
    }
}

static void open_more(struct server *sv, unsigned ports)
{
    for (; sv->n_more + 1 < ports; sv->n_more++) {
        struct link *l = &sv->more[sv->n_more];
        *l = (struct link){.family = AF_INET, .fd = open_socket(AF_INET)};
        if (!bind_socket(l->fd, AF_INET, 0))
            die("bind");
        open_other(l);
        watch(sv, l->fd);
    }
}

static void open_signals(struct server *sv)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        die("sigprocmask");
    sv->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (sv->signals < 0)
        die("signalfd");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void run(struct server *sv)
{
    struct epoll_event events[8];
    while (!sv->stop) {
        int n = epoll_wait(sv->epoll, events, 8, wait_ms(sv));
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        sv->now_us = clock_us();
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == sv->signals)
                read_signal(sv);
            else if (fd == STDIN_FILENO)
                read_commands(sv);
            else if (fd == sv->v4.fd || fd == sv->v6.fd)
                serve(sv, fd == sv->v4.fd ? &sv->v4 : &sv->v6, ROUNDS);
            for (unsigned k = 0; k < sv->n_more; k++)
                if (sv->more[k].fd == fd)
                    serve(sv, &sv->more[k], ROUNDS);
        }
        send_due(sv);
    }
}

static bool read_number(const char *text, unsigned long least, unsigned long most,
                        unsigned long *ret)
{
    char *end;
    *ret = strtoul(text, &end, 10);
    return end != text && *end == '\0' && *ret >= least && *ret <= most;
}

static int usage(void)
{
    fprintf(stderr, "usage: fakeagent [--port N] [--ports N] [--log FILE] [--exit-on-eof] SPEC\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"ports", required_argument, NULL, 'n'},
        {"log", required_argument, NULL, 'l'},
        {"exit-on-eof", no_argument, NULL, 'e'},
        {NULL, 0, NULL, 0},
    };
    struct server *sv = &server;
    unsigned long port = 0, ports = 1;
    char *log = NULL;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        bool good = c == 'l' || c == 'e' || (c == 'p' && read_number(optarg, 0, 65535, &port)) ||
                    (c == 'n' && read_number(optarg, 1, PORTS_MAX, &ports));
        if (!good)
            return usage();
        if (c == 'l')
            log = optarg;
        sv->exit_on_eof |= c == 'e';
    }
    if (optind + 1 != argc)
        return usage();
    spec_init(&sv->spec, &sv->farm, argv[optind]);
    if (!spec_load(&sv->spec)) {
        fprintf(stderr, "fakeagent: %s\n", sv->spec.error);
        return 1;
    }
    sv->spec.file = "stdin";
    sv->spec.line = 0;
    if (log != NULL)
        sv->spec.log_path = log;
    open_log(sv);
    open_signals(sv);
    sv->start_us = sv->now_us = clock_us();
    sv->epoll = epoll_create1(EPOLL_CLOEXEC);
    uint16_t got = open_links(sv, (uint16_t)port);
    watch(sv, sv->signals);
    watch(sv, sv->v4.fd);
    if (sv->v6.fd >= 0)
        watch(sv, sv->v6.fd);
    if (sv->exit_on_eof)
        watch(sv, STDIN_FILENO);
    open_more(sv, (unsigned)ports);
    printf("ready %u", (unsigned)got);
    for (unsigned i = 0; i < sv->n_more; i++)
        printf(" %u", (unsigned)port_of(sv->more[i].fd));
    putchar('\n');
    fflush(stdout);
    run(sv);
    print_counters(sv);
    return 0;
}
