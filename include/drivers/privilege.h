/* drivers/privilege.h - gives up every privilege permanently.
 *
 * Threads: main thread, before any other thread exists and before any input is read.
 * Promise: after privilege_drop() real, effective and saved ids are the real user's; a process that
 *          had effective uid 0 also loses the supplementary groups; permitted, effective,
 *          inheritable and ambient capabilities are empty. One exception: for real uid 0
 *          CAP_DAC_OVERRIDE stays permitted and effective, because uid 0 without it cannot append
 *          to Cacti's log, which belongs to www-data; it gives nothing that the owner of /etc and
 *          of every program that root runs does not have anyway (docs/security.md). It is verified
 *          by trying to regain, and a failure is an error. No core dump is written, and only root
 *          may trace the process or read its memory. Works with and without libcap, by the system
 *          calls. PR_SET_NO_NEW_PRIVS is not set: scripts use sudo and ping.
 * Errors:  ERR_OS: do not go on.
 * Source:  docs/contract.md 24.1.
 */
#ifndef SPINE_DRIVERS_PRIVILEGE_H
#define SPINE_DRIVERS_PRIVILEGE_H

#include "base/compiler.h"
#include "base/err.h"

NODISCARD bool privilege_drop(struct err *err);

#endif
