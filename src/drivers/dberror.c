#include "config.h"

#include "drivers/dberror.h"

#include "base/compiler.h"

#include <stddef.h>

#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_CAP_MS   2000

struct class_row {
    int number;
    enum dberror class;
};

static const struct class_row classes[] = {
    {1020, DBERROR_RETRY}, {1180, DBERROR_RETRY}, {1205, DBERROR_RETRY}, {1213, DBERROR_RETRY},
    {1317, DBERROR_RETRY}, {1412, DBERROR_RETRY}, {1614, DBERROR_RETRY}, {1969, DBERROR_RETRY},
    {3024, DBERROR_RETRY}, {3101, DBERROR_RETRY},

    {1047, DBERROR_LOST},  {1053, DBERROR_LOST},  {1077, DBERROR_LOST},  {1079, DBERROR_LOST},
    {1080, DBERROR_LOST},  {1152, DBERROR_LOST},  {1158, DBERROR_LOST},  {1159, DBERROR_LOST},
    {1160, DBERROR_LOST},  {1161, DBERROR_LOST},  {1184, DBERROR_LOST},  {1927, DBERROR_LOST},
    {2000, DBERROR_LOST},  {2002, DBERROR_LOST},  {2003, DBERROR_LOST},  {2005, DBERROR_LOST},
    {2006, DBERROR_LOST},  {2012, DBERROR_LOST},  {2013, DBERROR_LOST},  {2014, DBERROR_LOST},
    {2027, DBERROR_LOST},  {2055, DBERROR_LOST},  {3169, DBERROR_LOST},  {4031, DBERROR_LOST},

    {1021, DBERROR_WAIT},  {1040, DBERROR_WAIT},  {1114, DBERROR_WAIT},  {1146, DBERROR_WAIT},
    {1203, DBERROR_WAIT},  {1226, DBERROR_WAIT},  {1290, DBERROR_WAIT},  {1792, DBERROR_WAIT},
    {1836, DBERROR_WAIT},  {3032, DBERROR_WAIT},

    {1119, DBERROR_SPLIT}, {1153, DBERROR_SPLIT}, {1436, DBERROR_SPLIT}, {2020, DBERROR_SPLIT},

    {1264, DBERROR_ROW},   {1366, DBERROR_ROW},   {1406, DBERROR_ROW},

    {1036, DBERROR_FATAL}, {1044, DBERROR_FATAL}, {1045, DBERROR_FATAL}, {1046, DBERROR_FATAL},
    {1049, DBERROR_FATAL}, {1054, DBERROR_FATAL}, {1064, DBERROR_FATAL}, {1129, DBERROR_FATAL},
    {1130, DBERROR_FATAL}, {1142, DBERROR_FATAL}, {1143, DBERROR_FATAL}, {1227, DBERROR_FATAL},
    {1251, DBERROR_FATAL}, {1288, DBERROR_FATAL}, {1356, DBERROR_FATAL}, {1698, DBERROR_FATAL},
    {1820, DBERROR_FATAL}, {1862, DBERROR_FATAL}, {2026, DBERROR_FATAL}, {2049, DBERROR_FATAL},
    {2054, DBERROR_FATAL}, {2059, DBERROR_FATAL}, {2061, DBERROR_FATAL}, {3118, DBERROR_FATAL},
    {3159, DBERROR_FATAL}, {5010, DBERROR_FATAL},
};

enum dberror dberror_class(int number)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (classes[i].number == number)
            return classes[i].class;
    }
    return DBERROR_ROW; /* worth finding out whether a single row is to blame */
}

bool dberror_is_about_text(int number)
{
    enum dberror class = dberror_class(number);
    return class == DBERROR_ROW || class == DBERROR_FATAL;
}

/* Not in the primary component of its cluster, read-only, offline. */
bool dberror_is_of_this_server(int number)
{
    return number == 1047 || number == 1290 || number == 1836 || number == 3032;
}

bool dberror_is_nonsense(int number)
{
    return number == DBERROR_MALFORMED || number == DBERROR_UNKNOWN;
}

enum err_kind dberror_kind(int number)
{
    switch (dberror_class(number)) {
    case DBERROR_RETRY:
    case DBERROR_SPLIT:
    case DBERROR_ROW: return ERR_TEMPORARY;
    case DBERROR_WAIT: return number == DBERROR_TABLE_MISSING ? ERR_CONFIG : ERR_TEMPORARY;
    case DBERROR_LOST: return ERR_UNAVAILABLE;
    case DBERROR_FATAL: return number == DBERROR_SYNTAX ? ERR_INTERNAL : ERR_CONFIG;
    }
    return ERR_INTERNAL;
}

bool dberror_may_connect_later(int number)
{
    switch (dberror_class(number)) {
    case DBERROR_LOST:
    case DBERROR_WAIT:
    case DBERROR_RETRY: return true;
    case DBERROR_SPLIT:
    case DBERROR_ROW:
    case DBERROR_FATAL: return false;
    }
    return false;
}

const char *dberror_remedy(int number)
{
    switch (number) {
    case DBERROR_ACCESS_DENIED:
    case 1698:
        return "check DB_User and DB_Pass in spine.conf, and DB_UseSSL if the account requires TLS";
    case 1044:
    case 1049: return "check DB_Database in spine.conf and the user's grants";
    case 1129:
    case 1130: return "the server does not let this machine in";
    case 1040:
    case 1203:
    case 1226: return "raise max_connections or max_user_connections of the server";
    case 3032: return "turn off offline_mode of the server";
    case DBERROR_SERVER_LOST:
        return "is the server overloaded or stopped, or is it out of reach for something in "
               "between that takes connections for it?";
    case 2005: return "check DB_Host in spine.conf";
    case DBERROR_TLS_FAILED:
        return "check DB_UseSSL, DB_SSL_CA, DB_SSL_Cert and DB_SSL_Key in spine.conf";
    case DBERROR_LOGIN_REFUSED:
    case DBERROR_PLUGIN_FAILED:
        return "turn on DB_UseSSL with DB_SSL_CA in spine.conf, or give the account a plugin that "
               "sends no password (ed25519, mysql_native_password)";
    case DBERROR_PLUGIN_MISSING:
        return "give the account a plugin that the client library has (mysql_native_password, "
               "ed25519)";
    case DBERROR_UNKNOWN:
    case DBERROR_MALFORMED: return "what answers there behaves as no MariaDB or MySQL server does";
    default: return "is the server running and DB_Host/DB_Port in spine.conf right?";
    }
}

int64_t dberror_back_off_ms(unsigned tries, int64_t noise)
{
    int64_t ms = tries > 6 ? BACK_OFF_CAP_MS : BACK_OFF_FIRST_MS << (tries == 0 ? 0 : tries - 1);
    if (ms > BACK_OFF_CAP_MS)
        ms = BACK_OFF_CAP_MS;
    return ms - noise % (ms / 2 + 1);
}
