/* app/options.h - the one table that describes every option, and the pure parsers that use it.
 *
 * Why:     command line, spine.conf, settings rows, environment, --help, configuration_describe() and the
 *          manual must agree; they all read this table.
 * Use:     struct options_sink sink = {assign, warn, arg};
 *          switch (options_parse_args(argc, argv, &sink, &err)) ...
 *          option_parse(option_get(id), text, &value, &why);      strict: command line, file, environment
 *          option_parse_row(option_get(id), text, &value, &why);  lenient: settings rows
 * Threads: any; pure (no clock, file or environment), except that help and usage go where the
 *          caller says.
 * Owns:    an option_value owns its memory; option_value_done() overwrites text before freeing it.
 * Promise: what is assigned lies within the option's bounds. Errors are one line that names the
 *          argument as typed and ends with what to do.
 * Source:  docs/contract.md 1, 2.
 */
#ifndef SPINE_APP_OPTIONS_H
#define SPINE_APP_OPTIONS_H

#include "app/option_id.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the command line asks for. */
enum configuration_request { CONFIG_RUN, CONFIG_HELP, CONFIG_VERSION, CONFIG_ERROR };

enum option_type {
    OPTION_TYPE_ACTION,  /* acts at once: help, version */
    OPTION_TYPE_FLAG,    /* no value; an attached one is ignored */
    OPTION_TYPE_NAMED,   /* -O: name:value of another option */
    OPTION_TYPE_INTEGER, /* within [min, max] */
    OPTION_TYPE_BOOLEAN, /* on, yes, true, 1, off, no, false, 0 */
    OPTION_TYPE_WORD,    /* one of `words`, or a number within [min, max] if min <= max */
    OPTION_TYPE_TEXT,    /* min = least length */
    OPTION_TYPE_PATH,    /* as text; an empty settings row counts as missing */
    OPTION_TYPE_SECRET,  /* as text; never shown */
    OPTION_TYPE_ID,      /* device id, 0..2^32-1 */
    OPTION_TYPE_IDS,     /* comma list of device ids; min = least number of them */
};

enum option_section {
    OPTION_COMMAND,
    OPTION_SELECT,
    OPTION_RUN,
    OPTION_OUTPUT,
    OPTION_SETTING,
    OPTION_FILE,
};

/* What a number out of bounds in a settings row becomes. */
enum option_bounds {
    OPTION_CLAMP,       /* the nearest bound */
    OPTION_LOW_DEFAULT, /* below: the default; above: the bound */
    OPTION_DEFAULT,     /* the default */
};

struct option_word {
    const char *word;
    int64_t number;
};

struct option_def {
    const char *name;     /* canonical; of the settings row if `setting` */
    const char *key;      /* in spine.conf, or NULL */
    const char *variable; /* in the environment, or NULL */
    const char *longs[2]; /* without the dashes, or NULL */
    char letter;          /* or 0 */
    enum option_type type;
    enum option_section section;
    enum option_bounds bounds;
    enum command command;     /* that it chooses; COMMAND_POLL: it chooses none */
    bool setting;             /* read from the settings table; -O takes it */
    bool attached_only;       /* its value is optional, and comes after '=' */
    bool row_only;            /* from the database, but not with -O */
    bool power_of_two;        /* of a number: nothing else */
    bool file_beats_settings; /* precedence turned around, see engine/config.h */
    int64_t min, max;
    const struct option_word *words; /* ended by a NULL word */
    const char *standard;            /* the default as text, or NULL */
    const char *placeholder;         /* "ID" */
    const char *unit;                /* or NULL */
    const char *help;
};

struct option_value {
    bool set;
    char *text;     /* as given; of clamped numbers the number used */
    int64_t number; /* number, word's number, boolean 0/1, flag 1 */
    struct id_list ids;
};

const struct option_def *option_get(enum option_id id);
enum option_id option_id_of(const struct option_def *def);
/* What --help and the manual put above the options of a section; NULL behind the last one. */
const char *option_section_title(enum option_section section);
/* NULL if there is none; case is ignored. */
const struct option_def *option_by_setting(const char *name);
const struct option_def *option_by_key(const char *key);
/* The spine.conf key most like the one typed, or NULL. */
const char *option_nearest_key(const char *typed);

/* Strict.  On failure `why` gets "must be ...", to be put after the option's name. */
NODISCARD bool option_parse(const struct option_def *def, const char *text,
                            struct option_value *ret, struct buf *why);
/* As Cacti reads rows (docs/contract.md 2.2).  false: the row counts as missing.  In both cases
 * `why` may get a remark such as "'200' is more than 100, 100 is used". */
NODISCARD bool option_parse_row(const struct option_def *def, const char *text,
                                struct option_value *ret, struct buf *why);
/* "a number from 1 to 100" */
void option_expected(const struct option_def *def, struct buf *out);
void option_value_done(struct option_value *value);

struct options_sink {
    /* The value is the receiver's from then on. */
    void (*assign)(void *arg, enum option_id id, struct option_value *value);
    void (*warn)(void *arg, const char *text);
    void *arg;
};

/* CONFIG_RUN, or CONFIG_HELP / CONFIG_VERSION when reached, or CONFIG_ERROR with ERR_USAGE.  Rules
 * that need several options are the receiver's. */
enum configuration_request options_parse_args(int argc, char *const *argv,
                                              const struct options_sink *sink, struct err *err);

/* The first line of --version; Cacti looks for its own version in it (docs/contract.md 1.3).
 * cacti: that version; NULL or "": the one of the build. */
void options_version_line(const char *cacti, struct buf *out);

#endif
