/* What the files of app/configuration share. */
#ifndef SPINE_APP_CONFIGURATION_PRIVATE_H
#define SPINE_APP_CONFIGURATION_PRIVATE_H

#include "app/conffile.h"
#include "app/configuration.h"
#include "base/buf.h"

enum { SOURCE_COUNT = SOURCE_COMMAND_LINE + 1 };

/* What stands behind a struct config: every value per source, so that precedence is decided in one
 * place, configuration_effective(), whatever the order of arrival. */
struct state {
    struct config public; /* first: the caller's pointer is ours */
    struct option_value values[OPTION_COUNT][SOURCE_COUNT];
    char *path;                   /* of the spine.conf read */
    struct conffile_image *image; /* instead of reading it; NULL: it is read */
    char digest[CONFFILE_DIGEST]; /* of what was read */
    struct buf log_path;
    char **warnings;
    size_t warning_count, warnings_taken;
    struct buf value, description;
    const char *pass_source, *rdb_pass_source; /* if it is a file of its own; constant */
    bool main_checked;                         /* configuration_finish() warns once */
};

static inline struct state *state_of(struct config *c)
{
    return (struct state *)c;
}

/* The value that counts, and where it comes from. */
const struct option_value *configuration_effective(const struct state *s, enum option_id id,
                                                   enum config_source *source);

#endif
