#include "config.h"

#include "check_private.h"

#include "app/configuration.h"
#include "base/clock.h"
#include "base/mem.h"
#include "drivers/spool.h"
#include "engine/outputs.h"
#include "engine/scripts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* How long a script server may take to start; a cycle gives it script_timeout. */
enum { CHECK_SERVER_MS = 10000 };

/* ---- users ---- */

static void put_user(struct buf *out, uid_t uid)
{
    const struct passwd *user = getpwuid(uid);
    if (user != NULL)
        buf_puts(out, user->pw_name);
    else
        buf_printf(out, "%u", (unsigned)uid);
}

static void put_group(struct buf *out, gid_t gid)
{
    const struct group *group = getgrgid(gid);
    if (group != NULL)
        buf_puts(out, group->gr_name);
    else
        buf_printf(out, "%u", (unsigned)gid);
}

/* This program, as it is installed: "spine" may be another one. */
static void put_program(struct buf *out)
{
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    buf_printf(out, "%.*s", n > 0 ? (int)n : 5, n > 0 ? path : "spine");
}

void check_user(struct check *k)
{
    struct buf name = BUF_INIT, remedy = BUF_INIT;
    put_user(&name, getuid());
    buf_puts(&remedy,
             "repeat this as the user of Cacti's poller.php, say: runuser -u www-data -- ");
    put_program(&remedy);
    buf_puts(&remedy, " --check");
    if (getuid() == 0)
        findings_add(&k->findings, FINDING_WARN, "user", buf_str(&remedy),
                     "this check runs as root, who may do what that user may not");
    else
        findings_add(&k->findings, FINDING_OK, "user", NULL, "%s", buf_str(&name));
    buf_done(&remedy);
    buf_done(&name);
}

void check_conf_file(struct check *k)
{
    const char *path = configuration_file_path(k->config);
    struct stat st;
    struct buf owner = BUF_INIT;
    if (stat(path, &st) != 0) {
        findings_add(&k->findings, FINDING_FAIL, "configuration", NULL, "%s: %s", path,
                     strerror(errno));
        return;
    }
    put_user(&owner, st.st_uid);
    buf_putc(&owner, ':');
    put_group(&owner, st.st_gid);
    bool changeable = (st.st_mode & S_IWOTH) != 0;
    findings_add(&k->findings, changeable ? FINDING_WARN : FINDING_OK, "configuration",
                 changeable ? "chmod 640 it and give it to the web server's group" : NULL,
                 "%s, mode %04o, %s%s", path, (unsigned)st.st_mode & 07777U, buf_str(&owner),
                 changeable ? ", can be changed by every user" : "");
    buf_done(&owner);
}

/* ---- files that a cycle writes ---- */

/* "" and the folder that has to hold a file of that path. */
static char *folder_of(const char *path)
{
    char *folder = mem_strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        free(folder);
        return mem_strdup(".");
    }
    slash[slash == folder ? 1 : 0] = '\0'; /* "/name" lies in "/" */
    return folder;
}

/* May a file of that name be appended to, or created?  Does neither. */
static bool check_writable(const char *path, struct buf *why)
{
    struct stat st;
    struct statvfs fs;
    char *folder = folder_of(path);
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        buf_printf(why, "%s is a folder", path);
    else if (exists && access(path, W_OK) != 0)
        buf_printf(why, "%s: %s", path, strerror(errno));
    else if (!exists && access(folder, F_OK) != 0)
        buf_printf(why, "its folder %s: %s", folder, strerror(errno));
    else if (!exists && access(folder, W_OK | X_OK) != 0)
        buf_printf(why, "%s cannot be created in %s: %s", path, folder, strerror(errno));
    else if ((!exists || S_ISREG(st.st_mode)) && statvfs(folder, &fs) == 0 && fs.f_blocks > 0 &&
             fs.f_bavail == 0)
        buf_printf(why, "no space is left in %s", folder);
    free(folder);
    return why->len == 0;
}

static void check_one_file(struct check *k, const char *name, const char *path, const char *setting)
{
    struct buf why = BUF_INIT, remedy = BUF_INIT;
    if (check_writable(path, &why)) {
        findings_add(&k->findings, FINDING_OK, name, NULL, "%s can be written", path);
    } else {
        buf_printf(&remedy, "let the user ");
        put_user(&remedy, getuid());
        buf_printf(&remedy, " write there, or correct %s", setting);
        findings_add(&k->findings, FINDING_FAIL, name, buf_str(&remedy), "%s", buf_str(&why));
    }
    buf_done(&remedy);
    buf_done(&why);
}

static void check_log(struct check *k)
{
    const struct log_options *log = &k->config->log;
    bool file = log->destination == LOG_TO_FILE || log->destination == LOG_TO_BOTH;
    if (log->level == LOG_NONE)
        findings_add(&k->findings, FINDING_WARN, "log", "set it to LOW at least",
                     "log_verbosity is NONE: nothing is written");
    else if (log->destination == LOG_TO_NOTHING)
        findings_add(&k->findings, FINDING_WARN, "log", "set it to FILE, BOTH, SYSLOG or STDOUT",
                     "log_destination names no place: nothing is written");
    else if (!file)
        findings_add(&k->findings, FINDING_OK, "log", NULL, "%s (log_destination)",
                     log->destination == LOG_TO_SYSLOG ? "system log" : "standard output");
    else if (log->path == NULL || *log->path == '\0')
        findings_add(&k->findings, FINDING_WARN, "log",
                     "set Cacti_Log in spine.conf, which also takes what happens before the "
                     "database answers",
                     "no file is known");
    else
        check_one_file(k, "log", log->path, "the setting path_cactilog");
}

static void check_spool(struct check *k)
{
    const struct config *c = k->config;
    struct err err = ERR_INIT;
    struct spool_options o = {.path = c->spool_file,
                              .cap_bytes = c->spool_bytes,
                              .database = c->db.database,
                              .poller_id = c->poller_id,
                              .interval_s = c->poller_interval_s};
    if (*c->spool_file == '\0')
        findings_add(&k->findings, FINDING_OK, "spool file", NULL,
                     "none (Spool_File): results are lost that the database does not take in time");
    else if (spool_check(&o, &err))
        check_one_file(k, "spool file", c->spool_file, "Spool_File");
    else
        findings_add(
            &k->findings, FINDING_FAIL, "spool file",
            "let Spool_File name a file in a folder that only the poller's user may write to", "%s",
            err.text);
}

/* A file that is replaced as a whole: what counts is its folder. */
static bool check_replaceable(const char *path, struct buf *why)
{
    struct stat st;
    char *folder = folder_of(path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        buf_printf(why, "%s is not a regular file", path);
    else if (access(folder, W_OK | X_OK) != 0)
        buf_printf(why, "%s cannot be replaced, its folder %s: %s", path, folder, strerror(errno));
    free(folder);
    return why->len == 0;
}

static void check_output(struct check *k, const char *name, const char *pattern, const char *key)
{
    struct buf why = BUF_INIT, remedy = BUF_INIT, user = BUF_INIT;
    char *path = outputs_path(k->config, pattern);
    put_user(&user, getuid());
    buf_printf(&remedy, "let the user %s write to its folder, or correct %s", buf_str(&user), key);
    if (path != NULL && check_replaceable(path, &why))
        findings_add(&k->findings, FINDING_OK, name, NULL, "%s can be written", path);
    else if (path != NULL)
        findings_add(&k->findings, FINDING_FAIL, name, buf_str(&remedy), "%s", buf_str(&why));
    free(path);
    buf_done(&user);
    buf_done(&remedy);
    buf_done(&why);
}

void check_files(struct check *k)
{
    const struct config *c = k->config;
    check_log(k);
    check_spool(k);
    check_output(k, "metrics file", c->metrics_file, "Metrics_File");
    check_output(k, "report", c->report_file, "Report_File");
    check_output(k, "timeline", c->timeline_file, "Timeline_File");
    check_output(k, "trace", c->trace_file, "Trace_File");
    if (*c->event_log != '\0')
        check_one_file(k, "event log", c->event_log, "Event_Log");
    else
        findings_add(&k->findings, FINDING_OK, "event log", NULL, "none (Event_Log)");
}

/* ---- programs ---- */

void check_ping(struct check *k)
{
    const struct ping_sockets *s = k->sockets;
    bool none = s->kind4 == PING_SOCKET_NONE && s->kind6 == PING_SOCKET_NONE;
    struct buf remedy = BUF_INIT;
    buf_puts(&remedy, "as root: setcap cap_net_raw+ep ");
    put_program(&remedy);
    if (s->kind4 != PING_SOCKET_NONE)
        findings_add(&k->findings, FINDING_OK, "ping", NULL, "%s", ping_sockets_text(s));
    else
        findings_add(&k->findings, k->site.pinged > 0 ? FINDING_WARN : FINDING_OK, "ping",
                     buf_str(&remedy),
                     "no right to ping by ICMP%s; %lld devices that want it are pinged by UDP",
                     none ? "" : " over IPv4", (long long)k->site.pinged);
    buf_done(&remedy);
}

/* false: a script server cannot even be tried. */
static bool check_php_files(struct check *k, enum verdict bad, const char *script)
{
    const struct config *c = k->config;
    if (*c->path_php_binary == '\0')
        findings_add(&k->findings, bad, "PHP", "set it in Cacti's settings, Paths",
                     "path_php_binary is not set");
    else if (access(c->path_php_binary, X_OK) != 0)
        findings_add(&k->findings, bad, "PHP",
                     "install PHP for the command line, or correct path_php_binary in Cacti's "
                     "settings, Paths",
                     "%s: %s", c->path_php_binary, strerror(errno));
    else if (*c->path_webroot == '\0')
        findings_add(&k->findings, bad, "script server",
                     "Cacti's poller.php sets it: let that run once", "path_webroot is not set");
    else if (access(script, R_OK) != 0)
        findings_add(&k->findings, bad, "script server",
                     "correct path_webroot, Cacti's folder, in the table settings", "%s: %s",
                     script, strerror(errno));
    else
        return true;
    return false;
}

void check_php(struct check *k)
{
    const struct config *c = k->config;
    struct err err = ERR_INIT;
    struct buf script = BUF_INIT;
    enum verdict bad = k->site.served > 0 ? FINDING_FAIL : FINDING_WARN;
    buf_printf(&script, "%s/script_server.php", c->path_webroot);
    if (check_php_files(k, bad, buf_str(&script))) {
        if (scripts_try_server(c, clock_mono_ms() + CHECK_SERVER_MS, &err))
            findings_add(&k->findings, FINDING_OK, "script server", NULL,
                         "%s starts %s; %lld items are asked for by it", c->path_php_binary,
                         buf_str(&script), (long long)k->site.served);
        else
            findings_add(&k->findings, bad, "script server",
                         "run this by hand as this user to see what PHP says",
                         "%s -q %s spine %d: %s", c->path_php_binary, buf_str(&script),
                         c->poller_id, check_plain(err.text));
    }
    buf_done(&script);
}
