# SPINE_PKGCONFIG - find pkg-config; SPINE_PKG_EXISTS tests for a module. Without the program every
# module is simply not there, and the probes look for headers and libraries themselves.
AC_DEFUN([SPINE_PKGCONFIG], [
    AC_ARG_VAR([PKG_CONFIG], [path of pkg-config])
    AC_ARG_VAR([PKG_CONFIG_PATH], [folders pkg-config searches first])
    AC_ARG_VAR([PKG_CONFIG_LIBDIR], [folders pkg-config searches instead of its own])
    AC_PATH_TOOL([PKG_CONFIG], [pkg-config])
])

AC_DEFUN([SPINE_PKG_EXISTS],
    [AS_IF([test -n "$PKG_CONFIG" && "$PKG_CONFIG" --exists "$1" 2>/dev/null], [$2], [$3])])
