/* A check that fails ends the program by SIGABRT with its default action, so that no other line follows.  Under libFuzzer
 * its handler stays, or the input would not be kept: linked with --wrap=sigaction. */
#include "config.h"

#include <signal.h>
#include <stddef.h>

int __real_sigaction(int signo, const struct sigaction *act, struct sigaction *old);
int __wrap_sigaction(int signo, const struct sigaction *act, struct sigaction *old);

int __wrap_sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
    if (signo == SIGABRT && act != NULL && act->sa_handler == SIG_DFL && old == NULL)
        return 0;
    return __real_sigaction(signo, act, old);
}
