#!/bin/sh
# Finds the processes that a plugin has made. Goes before supervisor.sh and end-recorded.sh.
#   gps_pid  the plugin    gps_dir  its private directory
# shellcheck disable=SC2154

# Turns files of /proc, one a line, into the pids that they belong to.
gps_pids() {
  while IFS= read -r gps_file; do
    gps_file=${gps_file%/*}
    printf '%s\n' "${gps_file#/proc/}"
  done
}

# Prints the pids of the plugin's session, but for the dead that nobody has reaped.
gps_session() {
  grep -lsE "^[0-9]+ \\(.*\\) [^XZ] [0-9]+ [0-9]+ $gps_pid " /proc/[0-9]*/stat | gps_pids
}

# Prints the pids of whoever has the private directory in its environment, in whatever session. A NUL ends the lines of busybox's grep, so
# that it would see the first variable only; there the environments are cut into lines, one by one if that is worth it.
gps_inheritors() {
  gps_variable=PLUGIN_UNIX_SOCKET_DIR=$gps_dir
  if printf 'a\000b\n' | grep -qaF b; then
    grep -lsaF "$gps_variable" /proc/[0-9]*/environ
  elif cat /proc/[0-9]*/environ 2>/dev/null | tr '\000' '\n' | grep -qxF "$gps_variable"; then
    for gps_file in /proc/[0-9]*/environ; do
      { tr '\000' '\n' <"$gps_file"; } 2>/dev/null | grep -qxF "$gps_variable" && printf '%s\n' "$gps_file"
    done
  fi | gps_pids
}
