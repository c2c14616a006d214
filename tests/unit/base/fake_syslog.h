/* fake_syslog.h - syslog() and friends in the place of libc's, so that a test sees what would be sent. */
#ifndef SPINE_TESTS_FAKE_SYSLOG_H
#define SPINE_TESTS_FAKE_SYSLOG_H

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

/* from syslog.h, which cannot be included next to definitions of our own in a fortified build */
enum { PRIORITY_CRIT = 2, PRIORITY_WARNING = 4, PRIORITY_NOTICE = 5 };
enum { FACILITY_SYSLOG = 5 << 3, WITH_PID = 1 };

static struct buf sent = BUF_INIT; /* "<priority> text\n" */
static char sent_ident[32];
static int sent_option, sent_facility;

void openlog(const char *ident, int option, int facility);
void closelog(void);
void syslog(int priority, const char *fmt, ...) PRINTF(2, 3);
void vsyslog(int priority, const char *fmt, va_list ap) PRINTF(2, 0);
/* A fortified build calls these; which of them depends on the compiler and the C library. */
void __syslog_chk(int priority, int flag, const char *fmt, ...) PRINTF(3, 4);
void __vsyslog_chk(int priority, int flag, const char *fmt, va_list ap) PRINTF(3, 0);

void openlog(const char *ident, int option, int facility)
{
    snprintf(sent_ident, sizeof(sent_ident), "%s", ident);
    sent_option = option;
    sent_facility = facility;
}

void closelog(void)
{
}

void vsyslog(int priority, const char *fmt, va_list ap)
{
    buf_printf(&sent, "<%d> ", priority);
    buf_vprintf(&sent, fmt, ap);
    buf_putc(&sent, '\n');
}

void __vsyslog_chk(int priority, UNUSED int flag, const char *fmt, va_list ap)
{
    vsyslog(priority, fmt, ap);
}

void syslog(int priority, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsyslog(priority, fmt, ap);
    va_end(ap);
}

void __syslog_chk(int priority, UNUSED int flag, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsyslog(priority, fmt, ap);
    va_end(ap);
}

#endif
