/* Any text as a line of the log: it is one line of UTF-8 that holds no control character and begins no PHP. */
#include "config.h"

#include "fuzz.h"

#include "base/log.h"
#include "base/utf8.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 65536 };

/* A file in memory. */
static int log_file(void)
{
    static int fd = -1;
    static char path[40];
    if (fd >= 0)
        return fd;
    fd = memfd_create("log", MFD_CLOEXEC);
    CHECK(fd >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    log_start();
    log_configure(&(struct log_options){.level = LOG_ALWAYS,
                                        .destination = LOG_TO_FILE,
                                        .path = path,
                                        .date_separator = '/',
                                        .poller_id = 1});
    return fd;
}

/* What the file gets, behind the prefix and without the line end. */
static void logged(const char *text, struct buf *ret)
{
    static char line[2 * LINE_MAX_BYTES];
    int fd = log_file();
    CHECK(ftruncate(fd, 0) == 0);
    log_line(LOG_ALWAYS, "%s", text);
    ssize_t n = pread(fd, line, sizeof(line), 0);
    CHECK(n > 0 && n <= LINE_MAX_BYTES && line[n - 1] == '\n');
    const char *start = memmem(line, (size_t)n, " PT[", 4);
    CHECK(start != NULL);
    start = memchr(start, ']', (size_t)(line + n - start));
    CHECK(start != NULL && start[1] == ' ');
    buf_append(ret, start + 2, (size_t)(line + n - 1 - start - 2));
}

static void check_clean(const struct buf *b)
{
    const char *text = buf_str(b);
    CHECK(strlen(text) == b->len && utf8_is_valid(text, b->len));
    CHECK(strstr(text, "<?") == NULL);
    for (const char *p = text; *p != '\0'; p++) {
        CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
        CHECK((unsigned char)p[0] != 0xc2 || (unsigned char)p[1] >= 0xa0);
    }
}

/* Plain text is kept as it is. */
static void check_kept(const char *text, const struct buf *b)
{
    for (const char *p = text; *p != '\0'; p++)
        if (*p < ' ' || *p > '~' || strncmp(p, "<?", 2) == 0)
            return;
    CHECK(strlen(text) > LINE_MAX_BYTES / 2 || strcmp(buf_str(b), text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, strnlen((const char *)data, size));
    struct buf once = BUF_INIT, twice = BUF_INIT;
    logged(text, &once);
    check_clean(&once);
    check_kept(text, &once);
    logged(buf_str(&once), &twice);
    CHECK(strcmp(buf_str(&once), buf_str(&twice)) == 0); /* a clean text is left as it is */
    buf_done(&once);
    buf_done(&twice);
    free(text);
    return 0;
}
