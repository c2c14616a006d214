#include "config.h"

#include "app/events.h"

#include "app/app.h"
#include "app/handover.h"
#include "app/run.h"
#include "base/happening.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

bool events_check_types(const char *types, uint64_t *ret, struct err *err)
{
    const char *bad;
    *ret = 0;
    if (*types == '\0' || happening_parse_types(types, ret, &bad))
        return true;
    return err_set(err, ERR_USAGE,
                   "ERROR: '%.*s' names no event; see the table in docs/events.md, such as "
                   "device.finished or cycle.*",
                   (int)strcspn(bad, ","), bad);
}

int events_connect(const struct config *config, const struct listener_request *request,
                   struct err *err)
{
    struct ucred peer;
    struct buf m = BUF_INIT;
    int fd = handover_connect(config->daemon_socket, &peer, err);
    if (fd < 0)
        return -1;
    listener_put_request(&m, request);
    (void)handover_send(fd, &m, NULL); /* one that has hung up has said why, perhaps */
    buf_done(&m);
    return fd;
}

enum events_news events_receive(int fd, struct buf *ret_lines, struct err *err)
{
    struct handover m = {.count = 0};
    int none[HANDOVER_FDS];
    enum events_news news = EVENTS_LOST;
    enum handover_event event = handover_receive(fd, &m, none);
    if (event == HANDOVER_NOTHING) {
        news = EVENTS_NOTHING;
    } else if (event == HANDOVER_MESSAGE && handover_is(&m, "lines", 2)) {
        buf_puts(ret_lines, m.words[1]);
        news = EVENTS_LINES;
    } else if (event == HANDOVER_MESSAGE && handover_is(&m, "over", 1)) {
        news = EVENTS_OVER;
    } else if (event == HANDOVER_MESSAGE && handover_is(&m, "refused", 2)) {
        err_set(err, ERR_UNAVAILABLE, "the daemon refuses: %.500s", m.words[1]);
        news = EVENTS_REFUSED;
    }
    for (size_t i = 0; i < HANDOVER_FDS; i++)
        if (none[i] >= 0)
            close(none[i]);
    handover_done(&m);
    return news;
}

/* ---- printing ---- */

/* false: the reader has closed it. */
static bool events_print(const struct buf *lines)
{
    return fwrite(lines->data, 1, lines->len, stdout) == lines->len && fflush(stdout) == 0;
}

/* The end of the pipe is noticed also while nothing happens. */
static bool events_wait(int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = STDOUT_FILENO, .events = 0}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return false;
    return (fds[1].revents & (POLLERR | POLLNVAL)) == 0;
}

static int events_copy(int fd)
{
    struct buf lines = BUF_INIT;
    struct err err = ERR_INIT;
    int status = -1;
    while (status < 0 && events_wait(fd)) {
        buf_clear(&lines);
        switch (events_receive(fd, &lines, &err)) {
        case EVENTS_LINES: status = events_print(&lines) ? -1 : EX_OK; break;
        case EVENTS_NOTHING: break;
        case EVENTS_OVER: status = EX_OK; break;
        case EVENTS_REFUSED: status = app_fail(&err); break;
        case EVENTS_LOST:
            err_set(&err, ERR_TEMPORARY,
                    "ERROR: the daemon was killed, or has dropped the connection");
            (void)app_fail(&err);
            status = EX_TEMPFAIL;
            break;
        }
    }
    buf_done(&lines);
    return status < 0 ? EX_OK : status;
}

int events_run(struct config *config)
{
    struct err err = ERR_INIT;
    uint64_t types;
    if (!events_check_types(config->event_types, &types, &err) || !run_configure(config, &err))
        return app_fail(&err);
    const struct listener_request request = {.json = config->format == FORMAT_JSON,
                                             .past = true,
                                             .follow = config->follow,
                                             .buffer = config->event_buffer,
                                             .types = config->event_types};
    int fd = events_connect(config, &request, &err);
    if (fd < 0)
        return app_fail(&err);
    int status = events_copy(fd);
    close(fd);
    return status;
}
