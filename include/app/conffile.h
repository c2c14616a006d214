/* app/conffile.h - spine.conf as lines of key and value.
 *
 * Why:     the syntax of the file, apart from what its keys mean.
 * Use:     char *path = conffile_find(privileged, &why);
 *          or the path of -C conffile_read(path, on_entry, arg, &world_readable, &err);
 * Threads: any.
 * Owns:    an entry's strings live during the call only; everything read is overwritten before it
 *          is freed, as it holds passwords.
 * Promise: the file is opened close-on-exec, without ever waiting for it, and is closed before the
 *          first entry is reported. Errors are ERR_CONFIG and name file, line and remedy. Syntax:
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

#include <stdbool.h>
#include <stddef.h>

#define CONFFILE_LINE_MAX   65536             /* bytes */
#define CONFFILE_MAX        ((size_t)1 << 20) /* bytes */
#define CONFFILE_SECRET_MAX 4096              /* bytes */

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

NODISCARD bool conffile_read(const char *path, conffile_entry_fn *on_entry, void *arg,
                             bool *world_readable, struct err *err);

/* A file that holds one secret: its first line, which is not empty.  free() the result after it was overwritten.
 * others: every user can read or change the file. */
NODISCARD char *conffile_read_secret(const char *path, bool *others, struct err *err);

/* The places of docs/contract.md 1.6, in this order: the first regular file that can be
 * opened; "spine.conf" of the working directory is left out when privileged.  free() the result.
 * NULL: none; `why` lists those that exist but cannot be used. */
NODISCARD char *conffile_find(bool privileged, struct buf *why);

#endif
