#include "config.h"

#include "base/err.h"

#include <stdio.h>
#include <sysexits.h>

static void fill(struct err *err, enum err_kind kind, int number, const char *fmt, va_list ap)
    PRINTF(4, 0);

static void fill(struct err *err, enum err_kind kind, int number, const char *fmt, va_list ap)
{
    if (err == NULL)
        return;
    err->kind = kind;
    err->number = number;
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    for (char *p = err->text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
}

bool err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(err, kind, 0, fmt, ap);
    va_end(ap);
    return false;
}

bool err_set_number(struct err *err, enum err_kind kind, int number, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(err, kind, number, fmt, ap);
    va_end(ap);
    return false;
}

int err_exit_status(const struct err *err)
{
    switch (err->kind) {
    case ERR_NONE: return EX_OK;
    case ERR_USAGE: return EX_USAGE;
    case ERR_DATA: return EX_DATAERR;
    case ERR_UNAVAILABLE: return EX_UNAVAILABLE;
    case ERR_INTERNAL: return EX_SOFTWARE;
    case ERR_OS: return EX_OSERR;
    case ERR_TEMPORARY: return EX_TEMPFAIL;
    case ERR_CONFIG: return EX_CONFIG;
    }
    return EX_SOFTWARE;
}
