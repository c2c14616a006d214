#!/bin/sh
# clang-format 19 (Debian 13: clang-format-19 1:19.1.7-3+b1) beside 14 (Debian 12)
#
# Behaviour: in a macro, 19 reads the cast of a negative number as a subtraction and writes `((uid_t) - 1)` where it finds
# `((uid_t)-1)`; with a type that is a keyword, or outside of a macro, it leaves the cast alone.  14 does that only without the
# outer parentheses.  The style is the same (SpaceAfterCStyleCast: false), and a tree that one has formatted fails the check
# of the other.
# Output seen: see the last lines.
. "$(dirname "$0")/common.sh"
release trixie
install_whole clang-format-19=1:19.1.7-3+b1
printf '%s\n' '#define A ((uid_t)-1)' '#define B (uid_t)-1' '#define C ((unsigned)-1)' 'uid_t d = ((uid_t)-1);' >"$work/x.c"
expect "$(inside usr/lib/llvm-19/bin/clang-format --style='{BasedOnStyle: LLVM, SpaceAfterCStyleCast: false}' "$work/x.c")" "#define A ((uid_t) - 1)
#define B (uid_t) - 1
#define C ((unsigned)-1)
uid_t d = ((uid_t)-1);"
