#include "config.h"

#include "drivers/wholefile.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct wholefile {
    char *path; /* that it will have */
    char *temporary;
    int fd;
    int error; /* the first, 0 = none */
};

static void wholefile_free(struct wholefile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->temporary);
    free(f);
}

/* Its name without symbolic links, for the caller to free; NULL: what is there is not a regular file. */
static char *wholefile_aim(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return mem_strdup(path);
    if (!S_ISREG(st.st_mode)) {
        err_set(err, ERR_CONFIG, "%s is not a regular file; name another one", path);
        return NULL;
    }
    char *real = realpath(path, NULL);
    return real != NULL ? real : mem_strdup(path);
}

struct wholefile *wholefile_begin(const char *path, mode_t mode, struct err *err)
{
    char *real = wholefile_aim(path, err);
    if (real == NULL)
        return NULL;
    static atomic_uint number; /* several cycles of a process may write the same file */
    struct wholefile *f = mem_zalloc(1, sizeof(*f));
    size_t size = strlen(real) + 48;
    f->path = real;
    f->temporary = mem_alloc(size);
    snprintf(f->temporary, size, "%s.%ld.%u", real, (long)getpid(), number++);
    (void)unlink(f->temporary); /* of a process that had this id and was killed */
    f->fd =
        open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
    if (f->fd >= 0 && fchmod(f->fd, mode) == 0)
        return f;
    err_set_number(err, ERR_OS, errno, "%s: %s", f->temporary, strerror(errno));
    if (f->fd >= 0)
        (void)unlink(f->temporary);
    wholefile_free(f);
    return NULL;
}

void wholefile_put(struct wholefile *f, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0 && f->error == 0) {
        ssize_t n = write(f->fd, p, len);
        if (n < 0 && errno != EINTR)
            f->error = errno;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

bool wholefile_end(struct wholefile *f, struct err *err)
{
    if (f->error == 0 && rename(f->temporary, f->path) != 0)
        f->error = errno;
    bool ok = f->error == 0;
    if (!ok) {
        err_set_number(err, ERR_OS, f->error, "%s: %s", f->path, strerror(f->error));
        (void)unlink(f->temporary);
    }
    wholefile_free(f);
    return ok;
}

void wholefile_abandon(struct wholefile *f)
{
    if (f == NULL)
        return;
    (void)unlink(f->temporary);
    wholefile_free(f);
}

bool wholefile_write(const char *path, mode_t mode, const void *bytes, size_t len, struct err *err)
{
    struct wholefile *f = wholefile_begin(path, mode, err);
    if (f == NULL)
        return false;
    wholefile_put(f, bytes, len);
    return wholefile_end(f, err);
}

static bool wholefile_read_open(int fd, const char *path, size_t most, struct buf *out,
                                struct err *err)
{
    struct stat st;
    char part[4096];
    ssize_t n;
    size_t got = 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_CONFIG, "%s is not a regular file", path);
    while ((n = read(fd, part, sizeof(part))) > 0 || (n < 0 && errno == EINTR)) {
        got += n > 0 ? (size_t)n : 0;
        if (got > most)
            return err_set(err, ERR_CONFIG, "%s is larger than %zu bytes", path, most);
        if (n > 0)
            buf_append(out, part, (size_t)n);
    }
    return n == 0 || err_set_number(err, ERR_OS, errno, "%s: %s", path, strerror(errno));
}

bool wholefile_read(const char *path, size_t most, struct buf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ||
               err_set_number(err, ERR_OS, errno, "%s: %s", path, strerror(errno));
    bool ok = wholefile_read_open(fd, path, most, out, err);
    close(fd);
    return ok;
}
