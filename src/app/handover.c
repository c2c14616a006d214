#include "config.h"

#include "app/handover.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- words ---- */

void handover_put(struct buf *message, const char *word)
{
    buf_append(message, word, strlen(word) + 1);
}

void handover_put_number(struct buf *message, int64_t number)
{
    buf_printf(message, "%lld", (long long)number);
    buf_append(message, "", 1);
}

bool handover_parse(const char *bytes, size_t len, struct handover *ret)
{
    size_t count = 0;
    if (len == 0 || len > HANDOVER_BYTES || bytes[len - 1] != '\0')
        return false;
    for (size_t i = 0; i < len; i++)
        count += bytes[i] == '\0';
    *ret = (struct handover){.bytes = mem_alloc(len), .count = count};
    memcpy(ret->bytes, bytes, len);
    ret->words = mem_zalloc(count + 1, sizeof(ret->words[0]));
    char *at = ret->bytes;
    for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
        ret->words[i] = at;
    return true;
}

void handover_done(struct handover *m)
{
    free(m->words);
    free(m->bytes);
    *m = (struct handover){.count = 0};
}

bool handover_is(const struct handover *m, const char *verb, size_t least_words)
{
    return m->count >= least_words && m->count > 0 && strcmp(m->words[0], verb) == 0;
}

bool handover_number(const struct handover *m, size_t word, int64_t least, int64_t most,
                     int64_t *ret)
{
    if (word >= m->count)
        return false;
    char *end;
    errno = 0;
    long long n = strtoll(m->words[word], &end, 10);
    if (end == m->words[word] || *end != '\0' || errno != 0 || n < least || n > most)
        return false;
    *ret = n;
    return true;
}

/* ---- sockets ---- */

bool handover_address(const char *path, struct sockaddr_un *ret, struct err *err)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(ret->sun_path))
        return err_set(err, ERR_CONFIG,
                       "Daemon_Socket %.200s is too long: a name of a socket has at most %zu "
                       "characters",
                       path, sizeof(ret->sun_path) - 1);
    memcpy(ret->sun_path, path, len + 1);
    return true;
}

bool handover_peer(int fd, struct ucred *ret)
{
    socklen_t len = sizeof(*ret);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) == 0 && len == sizeof(*ret);
}

int handover_connect(const char *path, struct ucred *ret_peer, struct err *err)
{
    struct sockaddr_un to;
    if (!handover_address(path, &to, err))
        return -1;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 &&
        handover_peer(fd, ret_peer))
        return fd;
    int number = errno;
    if (fd >= 0)
        close(fd);
    if (number == ENOENT || number == ECONNREFUSED)
        err_set_number(err, ERR_UNAVAILABLE, number, "no daemon listens at %.200s", path);
    else
        err_set_number(err, ERR_UNAVAILABLE, number, "the daemon at %.200s cannot be reached: %s",
                       path, number == EAGAIN ? "it is busy" : strerror(number));
    return -1;
}

union handover_control {
    struct cmsghdr align;
    char room[CMSG_SPACE(HANDOVER_FDS * sizeof(int))];
};

bool handover_send(int fd, const struct buf *message, const int *fds)
{
    struct iovec iov = {.iov_base = message->data, .iov_len = message->len};
    union handover_control control = {.room = ""};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    if (message->len == 0 || message->len > HANDOVER_BYTES)
        return false;
    if (fds != NULL) {
        h.msg_control = control.room;
        h.msg_controllen = sizeof(control.room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(HANDOVER_FDS * sizeof(int));
        memcpy(CMSG_DATA(c), fds, HANDOVER_FDS * sizeof(int));
    }
    return sendmsg(fd, &h, MSG_NOSIGNAL) == (ssize_t)message->len;
}

bool handover_say(int fd, const char *verb, const char *word)
{
    struct buf m = BUF_INIT;
    handover_put(&m, verb);
    if (word != NULL)
        handover_put(&m, word);
    bool sent = handover_send(fd, &m, NULL);
    buf_done(&m);
    return sent;
}

static void handover_take_fds(struct msghdr *h, int fds[HANDOVER_FDS])
{
    int got[HANDOVER_FDS];
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(got, CMSG_DATA(c), count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            fds[i] = got[i];
    }
}

enum handover_event handover_receive(int fd, struct handover *ret, int fds[HANDOVER_FDS])
{
    char *bytes = mem_alloc(HANDOVER_BYTES + 1);
    struct iovec iov = {.iov_base = bytes, .iov_len = HANDOVER_BYTES + 1};
    union handover_control control;
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};
    handover_done(ret);
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        fds[i] = -1;
    ssize_t n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    /* A peer that refuses what it has not read: its word is behind the error. */
    if (n < 0 && errno == ECONNRESET)
        n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    enum handover_event event = HANDOVER_OVER;
    if (n > 0)
        handover_take_fds(&h, fds);
    if (n > 0 && handover_parse(bytes, (size_t)n, ret))
        event = HANDOVER_MESSAGE;
    else if (n < 0 && (errno == EAGAIN || errno == EINTR))
        event = HANDOVER_NOTHING;
    free(bytes);
    return event;
}
