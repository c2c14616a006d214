# SPINE_HARDENING - everything the compiler offers against memory errors; after SPINE_SANITIZERS.
#
# HARDEN_CPPFLAGS, HARDEN_CFLAGS, HARDEN_LDFLAGS for the build, spine_hardening for the summary.
AC_DEFUN([SPINE_HARDENING], [
    AC_ARG_ENABLE([hardening],
        [AS_HELP_STRING([--disable-hardening], [leave out stack protector, PIE, RELRO, fortify, ...])],
        [], [enable_hardening=yes])
    HARDEN_CPPFLAGS= HARDEN_CFLAGS= HARDEN_LDFLAGS=
    spine_hardening=no
    AS_IF([test "x$enable_hardening" != xno], [
        m4_foreach_w([flag], [-fstack-protector-strong -fstack-clash-protection -fcf-protection
                -mbranch-protection=standard],
            [SPINE_TRY_CFLAG([HARDEN_CFLAGS], flag)])
        SPINE_HARDENING_PIE
        SPINE_TRY_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,relro])
        SPINE_TRY_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,now])
        SPINE_TRY_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,noexecstack])
        # Sanitizers bring their own checks, and zeroed variables would hide what they look for.
        AS_IF([test -z "$SAN_CFLAGS"], [
            SPINE_TRY_CFLAG([HARDEN_CFLAGS], [-ftrivial-auto-var-init=zero])
            SPINE_HARDENING_FORTIFY
        ])
        spine_hardening=`AS_ECHO(["$HARDEN_CPPFLAGS$HARDEN_CFLAGS$HARDEN_LDFLAGS"]) | sed 's/^ *//'`
        AS_IF([test -z "$spine_hardening"], [spine_hardening="no (nothing accepted)"])
    ])
    AC_DEFINE_UNQUOTED([SPINE_BUILD_HARDENING], ["$spine_hardening"],
        [The flags against memory errors that compiler and linker have accepted, for --version.])
    AC_SUBST([HARDEN_CPPFLAGS])
    AC_SUBST([HARDEN_CFLAGS])
    AC_SUBST([HARDEN_LDFLAGS])
])

# -fPIE and -pie only make sense together.
AC_DEFUN([SPINE_HARDENING_PIE], [
    AC_CACHE_CHECK([whether $CC builds position independent programs], [spine_cv_pie], [
        spine_save_CFLAGS=$CFLAGS
        spine_save_LDFLAGS=$LDFLAGS
        CFLAGS="$CFLAGS -Werror -fPIE"
        LDFLAGS="$LDFLAGS -pie"
        AC_LINK_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
            [spine_cv_pie=yes], [spine_cv_pie=no])
        CFLAGS=$spine_save_CFLAGS
        LDFLAGS=$spine_save_LDFLAGS
    ])
    AS_IF([test $spine_cv_pie = yes], [
        HARDEN_CFLAGS="$HARDEN_CFLAGS -fPIE"
        HARDEN_LDFLAGS="$HARDEN_LDFLAGS -pie"])
])

# The best level the C library really applies. It needs optimisation; a level that comes from the
# compiler itself or from the packager's flags stands, a second definition would only warn.
AC_DEFUN([SPINE_HARDENING_FORTIFY], [
    AC_CACHE_CHECK([for the level of _FORTIFY_SOURCE], [spine_cv_fortify], [
        spine_cv_fortify=none
        AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#ifndef _FORTIFY_SOURCE
#error "not set from outside"
#endif
int main(void) { return 0; }]])], [spine_cv_fortify="set from outside"], [
        spine_save_CPPFLAGS=$CPPFLAGS
        for spine_level in 2 3; do
            CPPFLAGS="$spine_save_CPPFLAGS -D_FORTIFY_SOURCE=$spine_level"
            AC_COMPILE_IFELSE([AC_LANG_SOURCE([[
#include <string.h>
#ifndef __OPTIMIZE__
#error "no optimisation"
#elif defined __GLIBC__ && __USE_FORTIFY_LEVEL != _FORTIFY_SOURCE
#error "not this level"
#endif
int main(void) { return 0; }]])], [spine_cv_fortify=$spine_level])
        done
        CPPFLAGS=$spine_save_CPPFLAGS
        ])
    ])
    AS_CASE([$spine_cv_fortify],
        [2|3], [HARDEN_CPPFLAGS="-D_FORTIFY_SOURCE=$spine_cv_fortify"])
])
