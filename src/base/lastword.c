#include "config.h"

#include "base/lastword.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512 };

/* Set while all is well, read when it is not. */
static atomic_int target = -1;
static atomic_int separator = '/';
static atomic_int poller = 1;
static _Atomic int64_t zone_s; /* east of Greenwich */

void lastword_aim(int fd, char date_separator, int poller_id)
{
    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm) != NULL)
        zone_s = tm.tm_gmtoff;
    separator = date_separator;
    poller = poller_id;
    target = fd;
}

/* Decimal digits, at least `width` of them; returns what follows. */
static char *put_number(char *at, int64_t n, int width)
{
    char digits[24];
    int count = 0;
    if (n < 0)
        n = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0 || count < width);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *lastword_put_text(char *at, const char *end, const char *text)
{
    while (*text != '\0' && at < end)
        *at++ = *text++;
    return at;
}

/* localtime_r() takes a lock.  Civil date from days: Howard Hinnant's algorithm, years from March
 * on, in eras of 400 years. */
void lastword_date(int64_t local_seconds, char sep, char ret[20])
{
    int64_t seconds = local_seconds > 0 ? local_seconds : 0;
    int64_t days = seconds / 86400 + 719468, rest = seconds % 86400;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0 = March */
    int64_t day = of_year - (153 * month + 2) / 5 + 1;
    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    char *at = put_number(ret, year % 10000, 4);
    *at++ = sep;
    at = put_number(at, month, 2);
    *at++ = sep;
    at = put_number(at, day, 2);
    *at++ = ' ';
    at = put_number(at, rest / 3600, 2);
    *at++ = ':';
    at = put_number(at, rest / 60 % 60, 2);
    *at++ = ':';
    at = put_number(at, rest % 60, 2);
    *at = '\0';
}

/* A pipe that is full must not delay the end of the process. */
static void send_line(int fd, const char *line, size_t len)
{
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    if (fd < 0 || poll(&pfd, 1, 0) <= 0 || (pfd.revents & POLLOUT) == 0)
        return;
    if (write(fd, line, len) < 0)
        return; /* no other place to report to */
}

void lastword_say(const char *text)
{
    _Static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line is written in one piece");
    int number = errno;
    struct timespec now;
    char line[LINE_MAX_BYTES], *at = line;
    const char *end = line + sizeof(line) - 1;
    clock_gettime(CLOCK_REALTIME, &now);
    lastword_date((int64_t)now.tv_sec + zone_s, (char)separator, line);
    at = lastword_put_text(line + 19, end, " - SPINE: Poller[");
    at = put_number(at, poller, 1);
    at = lastword_put_text(at, end, "] PID[");
    at = put_number(at, getpid(), 1);
    at = lastword_put_text(at, end, "] ");
    at = lastword_put_text(at, end, text);
    *at++ = '\n';
    send_line(STDERR_FILENO, line, (size_t)(at - line));
    if (target != STDERR_FILENO)
        send_line(target, line, (size_t)(at - line));
    errno = number;
}
