#include "config.h"

#include "engine/app.h"
#include "engine/stopsig.h"

int main(int argc, char **argv)
{
    int status = app_main(argc, argv);
    if (status < 0)
        stopsig_die(-status);
    return status;
}
