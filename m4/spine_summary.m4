# SPINE_SUMMARY - what has been decided, for people and for build logs.
AC_DEFUN([SPINE_SUMMARY], [
    AS_IF([test -n "$SAN_CFLAGS"], [spine_sanitizers=$enable_sanitizers], [spine_sanitizers=no])
    AS_IF([test "$have_cmocka" = yes], [spine_tests=cmocka],
        [spine_tests="no, cmocka not found (libcmocka-dev, libcmocka-devel)"])
    AS_ECHO(["
$PACKAGE_NAME $PACKAGE_VERSION, for Cacti $with_cacti_version

  event path        $spine_libevent
  database client   $spine_mysql
  array binding     $spine_cv_mysql_bulk
  Net-SNMP          $spine_snmp
  replay            $spine_replay
  limits            results $with_results_buffer, scripts $with_max_scripts

  compiler          $CC $CFLAGS
  warnings          as errors: $enable_werror
  hardening         $spine_hardening
  fortify           ${spine_cv_fortify-no}
  sanitizers        $spine_sanitizers
  coverage          $enable_coverage
  unit tests        $spine_tests
  manual pages      $spine_manual

  prefix            $prefix
  sysconfdir        $sysconfdir
"])
])
