/* app/configuration.h - where the values of engine/config.h come from, and which source wins.
 *
 * Why:     values come from five places; all other modules see one struct config that is const
 *          while a cycle runs.
 * Use:     struct config *c = configuration_new();
 *          switch (configuration_parse_args(c, argc, argv, &err)) ...
 *          configuration_read_file(c, &err);  configuration_read_environment(c, &err);
 *          configuration_read_secrets(c, &err);
 *          configuration_set_setting(c, name, value);   per row of the settings table
 *          configuration_finish(c);
 * Threads: one thread for each configuration.
 * Owns:    all strings of the config.
 * Promise: precedence, weaker to stronger: built-in default, spine.conf, settings table, environment,
 *          command line (the last of repeated ones wins) - except options marked file_beats_settings,
 *          such as `Event_Loop`, where spine.conf beats the settings table.  Out-of-range numbers from
 *          the database fall back or are clamped with a warning; on the command line and in spine.conf
 *          they are errors.  Warnings are collected, not printed: configuration_take_warning().
 */
#ifndef SPINE_APP_CONFIGURATION_H
#define SPINE_APP_CONFIGURATION_H

#include "app/conffile.h"
#include "app/options.h"
#include "base/compiler.h"
#include "base/err.h"
#include "engine/config.h"

NODISCARD struct config *configuration_new(void); /* built-in defaults */
void configuration_free(struct config *c);

enum configuration_request configuration_parse_args(struct config *c, int argc, char *const *argv,
                                                    struct err *err);
/* After the arguments: the configuration of another process, whose cycle this one carries out.  All of it is lent for the life
 * of the configuration. */
struct configuration_origin {
    int pid;
    const char *file;               /* as -C */
    struct conffile_image *image;   /* what it held; referred to */
    const char *const *environment; /* NULL-terminated */
    const char *directory;
};
void configuration_adopt(struct config *c, const struct configuration_origin *origin);
/* The bytes of the file are these, whatever it holds now; path: as -C.  NULL: it is read. */
void configuration_use_image(struct config *c, const char *path, struct conffile_image *image);
/* Finds (docs/contract.md 1.6) or takes -C, reads and applies.  ERR_CONFIG with file:line. */
NODISCARD bool configuration_read_file(struct config *c, struct err *err);
const char *configuration_file_path(const struct config *c); /* NULL before a file was read */
const char *
configuration_digest(const struct config *c); /* of the bytes that were read; "" before */
NODISCARD bool configuration_read_environment(struct config *c, struct err *err);
/* After the file: passwords that are in files of their own, docs/configuration.md "Passwords". */
NODISCARD bool configuration_read_secrets(struct config *c, struct err *err);
void configuration_set_setting(struct config *c, const char *name, const char *value);
/* Derive what depends on several values; checks that need all sources.  May be called again. */
void configuration_finish(struct config *c);

/* Warnings collected so far, one per call, oldest first; NULL when there are no more.  free() each.
 */
char *configuration_take_warning(struct config *c);

/* Each option with its value, as text, and where that came from: i from 0 until false.  Secrets are masked. The
 * texts are borrowed until the next call. */
struct configuration_entry {
    const char *name, *value, *source;
};
bool configuration_entry(struct config *c, size_t i, struct configuration_entry *ret);
/* "name = value (source)" for each option, to be logged at debug level: i from 0 until NULL.
 * Secrets are masked. Borrowed until the next call. */
const char *configuration_describe(struct config *c, size_t i);

/* The keys of the file whose values differ, "DB_Host, DB_Pass", without the values; returns how many. */
size_t configuration_compare(const struct config *before, const struct config *after,
                             struct buf *out);

/* For --help: version line, empty line, usage made from the option table. */
void configuration_print_help(void);

#endif
