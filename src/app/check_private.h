/* app/check_private.h - what the files of app/check share. No other file includes it. */
#ifndef SPINE_APP_CHECK_PRIVATE_H
#define SPINE_APP_CHECK_PRIVATE_H

#include "app/check.h"
#include "app/findings.h"
#include "drivers/store_check.h"

struct check {
    struct config *config;
    const struct ping_sockets *sockets;
    struct findings findings;
    struct store_check_site site; /* zeroed: the database has not told */
    bool settings_known;
    bool left_behind; /* a thread hangs in a call; nothing that it uses may be freed */
};

/* An error of a lower layer, without the class that a log wants. */
const char *check_plain(const char *text);

/* The databases: fills in the site and the settings. */
void check_databases(struct check *k);

/* Files and programs, which the settings name. */
void check_conf_file(struct check *k);
void check_user(struct check *k);
void check_files(struct check *k);
void check_ping(struct check *k);
void check_php(struct check *k);

#endif
