#include "config.h"

#include "app/conffile.h"

#include "base/mem.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc" /* the Makefile's -DSYSCONFDIR names the real one */
#endif

enum { CONFFILE_READINGS = 8 };

static const char blanks[] = " \t\r\v\f";

/* If a quoted value starts at p: unquote it in place and return what follows the closing quote.
 * NULL: it is not a quoted value, because nothing closes it or text sticks to the closing quote;
 * then it is a word, as in Spine. */
static char *unquote(char *p)
{
    char *end = p + 1;
    while (*end != '\0' && *end != '"')
        end += *end == '\\' && (end[1] == '"' || end[1] == '\\') ? 2 : 1;
    if (*end != '"' || (end[1] != '\0' && strchr(blanks, end[1]) == NULL))
        return NULL;
    char *out = p;
    for (const char *in = p + 1; in < end; in++) {
        if (*in == '\\' && (in[1] == '"' || in[1] == '\\'))
            in++;
        *out++ = *in;
    }
    *out = '\0';
    return end + 1;
}

/* Split one NUL-terminated line.  false: nothing on it. */
static bool split(char *line, struct conffile_entry *ret)
{
    char *key = line + strspn(line, blanks);
    if (*key == '\0' || *key == '#')
        return false;
    char *p = key + strcspn(key, blanks);
    char *value = p + strspn(p, blanks);
    *p = '\0';
    char *rest = *value == '"' ? unquote(value) : NULL;
    if (rest == NULL) {
        rest = value + strcspn(value, blanks);
        if (*rest != '\0')
            *rest++ = '\0';
    }
    rest += strspn(rest, blanks);
    ret->key = key;
    ret->value = value;
    ret->has_rest = *rest != '\0' && *rest != '#';
    return true;
}

bool conffile_parse(char *text, size_t len, const char *path, conffile_entry_fn *on_entry,
                    void *arg, struct err *err)
{
    text[len] = '\0';
    char *p = text, *end = text + len;
    if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    for (int line = 1; p < end; line++) {
        char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            stop = end;
        size_t bytes = (size_t)(stop - p);
        if (memchr(p, '\0', bytes) != NULL)
            return err_set(err, ERR_CONFIG,
                           "ERROR: %.500s:%d: a NUL byte; this is not a text file, write it again "
                           "from spine.conf.dist",
                           path, line);
        if (bytes >= CONFFILE_LINE_MAX)
            return err_set(err, ERR_CONFIG,
                           "ERROR: %.500s:%d: the line has %zu bytes; at most %d are allowed, "
                           "shorten it",
                           path, line, bytes, CONFFILE_LINE_MAX - 1);
        *stop = '\0';
        struct conffile_entry entry = {.line = line};
        if (split(p, &entry) && !on_entry(arg, &entry, err))
            return false;
        p = stop + 1;
    }
    return true;
}

/* Non-blocking, so that a FIFO cannot stop us. */
static int open_conf(const char *path, struct stat *st, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        *why = strerror(errno);
        return -1;
    }
    *why = NULL;
    if (fstat(fd, st) != 0)
        *why = strerror(errno);
    else if (S_ISDIR(st->st_mode))
        *why = "it is a directory, not a regular file";
    else if (!S_ISREG(st->st_mode))
        *why = "it is not a regular file";
    if (*why == NULL)
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

/* Up to `room` bytes into text; -1 with errno. */
static ssize_t conffile_read_all(int fd, char *text, size_t room)
{
    size_t len = 0;
    while (len < room) {
        ssize_t n = read(fd, text + len, room - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* Once more if it was written meanwhile; what is written all the time is taken as it comes. */
static ssize_t conffile_read_steady(int fd, struct stat *st, char *text, size_t room)
{
    struct stat before;
    ssize_t len = -1;
    for (int i = 0; i < CONFFILE_READINGS; i++) {
        before = *st;
        if (lseek(fd, 0, SEEK_SET) != 0)
            return -1;
        len = conffile_read_all(fd, text, room);
        if (len < 0 || fstat(fd, st) != 0)
            return -1;
        if (st->st_size == len && st->st_mtim.tv_sec == before.st_mtim.tv_sec &&
            st->st_mtim.tv_nsec == before.st_mtim.tv_nsec)
            break;
    }
    return len;
}

/* It tells states of one file apart. */
static void conffile_put_digest(const char *bytes, size_t len, char ret[CONFFILE_DIGEST])
{
    snprintf(ret, CONFFILE_DIGEST, "%016" PRIx64 "-%zu",
             num_digest(NUM_DIGEST_OF_NOTHING, bytes, len), len);
}

static struct conffile_image *conffile_image_of(const char *bytes, size_t len, bool world_readable)
{
    struct conffile_image *image = mem_zalloc(1, sizeof(*image));
    atomic_init(&image->references, 1);
    image->bytes = mem_alloc(len + 1);
    memcpy(image->bytes, bytes, len);
    image->len = len;
    image->world_readable = world_readable;
    conffile_put_digest(bytes, len, image->digest);
    return image;
}

struct conffile_image *conffile_image_read(const char *path, struct err *err)
{
    struct stat st;
    const char *why;
    struct conffile_image *image = NULL;
    int fd = open_conf(path, &st, &why);
    if (fd < 0) {
        err_set(err, ERR_CONFIG,
                "ERROR: Could not read config file: %.500s: %s; name a readable "
                "spine.conf with -C",
                path, why);
        return NULL;
    }
    char *text = mem_alloc(CONFFILE_MAX + 1);
    ssize_t len = conffile_read_steady(fd, &st, text, CONFFILE_MAX + 1);
    int number = errno;
    close(fd);
    if (len < 0)
        err_set_number(err, ERR_CONFIG, number, "ERROR: Could not read config file: %.500s: %s",
                       path, strerror(number));
    else if ((size_t)len > CONFFILE_MAX)
        err_set(err, ERR_CONFIG,
                "ERROR: Could not read config file: %.500s: it is larger than %zu bytes; is this a "
                "spine.conf?",
                path, CONFFILE_MAX);
    else
        image = conffile_image_of(text, (size_t)len, (st.st_mode & S_IROTH) != 0);
    explicit_bzero(text, CONFFILE_MAX + 1);
    free(text);
    return image;
}

struct conffile_image *conffile_image_ref(struct conffile_image *image)
{
    if (image != NULL)
        atomic_fetch_add(&image->references, 1);
    return image;
}

void conffile_image_unref(struct conffile_image *image)
{
    if (image == NULL || atomic_fetch_sub(&image->references, 1) > 1)
        return;
    explicit_bzero(image->bytes, image->len);
    free(image->bytes);
    free(image);
}

bool conffile_image_parse(const struct conffile_image *image, const char *path,
                          conffile_entry_fn *on_entry, void *arg, struct err *err)
{
    char *text = mem_alloc(image->len + 1);
    memcpy(text, image->bytes, image->len);
    bool ok = conffile_parse(text, image->len, path, on_entry, arg, err);
    explicit_bzero(text, image->len + 1);
    free(text);
    return ok;
}

char *conffile_read_secret(const char *path, bool *others, struct err *err)
{
    struct stat st;
    const char *why;
    char *text = NULL;
    int fd = open_conf(path, &st, &why);
    if (fd < 0) {
        err_set(err, ERR_CONFIG, "%.500s: %s", path, why);
        return NULL;
    }
    *others = (st.st_mode & (S_IROTH | S_IWOTH)) != 0;
    char *bytes = mem_zalloc(1, CONFFILE_SECRET_MAX + 1);
    ssize_t len = conffile_read_all(fd, bytes, CONFFILE_SECRET_MAX);
    int number = errno;
    size_t line = len < 0 ? 0 : strcspn(bytes, "\r\n");
    if (len < 0)
        err_set_number(err, ERR_CONFIG, number, "%.500s: %s", path, strerror(number));
    else if (line == 0 || line == CONFFILE_SECRET_MAX ||
             (line < (size_t)len && bytes[line] == '\0'))
        err_set(err, ERR_CONFIG, "%.500s: its first line must hold a password of at most %d bytes",
                path, CONFFILE_SECRET_MAX - 1);
    else
        text = mem_strndup(bytes, line);
    close(fd);
    explicit_bzero(bytes, CONFFILE_SECRET_MAX + 1);
    free(bytes);
    return text;
}

char *conffile_find(bool privileged, struct buf *why)
{
    static const char *const places[] = {"spine.conf", "/etc/spine.conf", "/etc/cacti/spine.conf",
                                         "../etc/spine.conf", SYSCONFDIR "/spine.conf"};
    for (size_t i = privileged ? 1 : 0; i < ARRAY_LEN(places); i++) {
        struct stat st;
        const char *reason;
        int fd = open_conf(places[i], &st, &reason);
        if (fd >= 0) {
            close(fd);
            return mem_strdup(places[i]);
        }
        if (errno != ENOENT && errno != ENOTDIR)
            buf_printf(why, "%s%s: %s", why->len == 0 ? "" : "; ", places[i], reason);
    }
    return NULL;
}
