/* app/conffile.h - spine.conf as lines of key and value.
 *
 * Why:     the syntax of the file, apart from what its keys mean.
 * Use:     char *path = conffile_find(privileged, &why);
 *          or the path of -C
 *          struct conffile_image *image = conffile_image_read(path, &err);
 *          conffile_image_parse(image, path, on_entry, arg, &err);
 *          conffile_image_unref(image);
 * Threads: any.
 * Owns:    an entry's strings live during the call only; everything read is overwritten before it
 *          is freed, as it holds passwords.  An image is constant and ends with its last reference.
 * Promise: the file is opened close-on-exec, without ever waiting for it, and is closed before the
 *          first entry is reported.  What is written while it is read is read again. Errors are ERR_CONFIG and name file, line and remedy. Syntax:
 *          one "key blanks value" per line; blanks before the key, CR LF, a UTF-8 byte order mark
 *          and a last line without a newline are fine; '#' as the first character of a line or
 *          after leading blanks starts a comment. The value is one word, or, if it begins with a
 *          double quote and a closing one ends it (followed by a blank or the end of the line),
 *          the text in between, where \" and \\ stand for " and \. What follows the value is
 *          ignored.
 * Source:  docs/contract.md 1.6 to 1.8.
 */
#ifndef SPINE_APP_CONFFILE_H
#define SPINE_APP_CONFFILE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define CONFFILE_LINE_MAX   65536             /* bytes */
#define CONFFILE_MAX        ((size_t)1 << 20) /* bytes */
#define CONFFILE_SECRET_MAX 4096              /* bytes */
#define CONFFILE_DIGEST     40                /* bytes, with the end */

struct conffile_entry {
    const char *key;
    const char *value; /* "" if there is none */
    int line;          /* from 1 */
    bool has_rest;     /* something that is not a comment follows the value */
};

/* false with *err set ends the reading. */
typedef bool conffile_entry_fn(void *arg, const struct conffile_entry *entry, struct err *err);

/* Pure part; `text` of `len` bytes is changed and must have room for a NUL at text[len]. */
NODISCARD bool conffile_parse(char *text, size_t len, const char *path, conffile_entry_fn *on_entry,
                              void *arg, struct err *err);

/* What a file held when it was read. */
struct conffile_image {
    _Atomic size_t references;
    char *bytes;
    size_t len;
    bool world_readable;
    char digest
        [CONFFILE_DIGEST]; /* the same for the same bytes, and for these alone, but by an unlikely chance */
};

NODISCARD struct conffile_image *conffile_image_read(const char *path, struct err *err);
struct conffile_image *
conffile_image_ref(struct conffile_image *image); /* NULL allowed, as below */
void conffile_image_unref(struct conffile_image *image);
NODISCARD bool conffile_image_parse(const struct conffile_image *image, const char *path,
                                    conffile_entry_fn *on_entry, void *arg, struct err *err);

/* A file that holds one secret: its first line, which is not empty.  free() the result after it was overwritten.
 * others: every user can read or change the file. */
NODISCARD char *conffile_read_secret(const char *path, bool *others, struct err *err);

/* The places of docs/contract.md 1.6, in this order: the first regular file that can be
 * opened; "spine.conf" of the working directory is left out when privileged.  free() the result.
 * NULL: none; `why` lists those that exist but cannot be used. */
NODISCARD char *conffile_find(bool privileged, struct buf *why);

#endif
