#include "config.h"

#include "app/app.h"
#include "engine/stopsig.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    struct app_end end = app_main(argc, argv);
    if (end.signo != 0)
        stopsig_die(end.signo);
    if (end.at_once)
        _exit(end.status);
    return end.status;
}
