#!/bin/sh
# Becomes the plugin. It arrives as the supervisor's second document, after a head that the host wrote, which has
# changed to the directory (gps_cd empty if that failed), exported the environment and set "$@" to the command;
#   gps_mark   the word that starts each report    gps_platform  what uname says
#   gps_hash   which digest of the program's file is compared first, by checksum.sh; or nothing
#
# From the report to the end of exec nothing may be written, because what follows the report is the plugin's.
# shellcheck disable=SC2154

gps_fail() {
  printf '%s failed reason=%s\n' "$gps_mark" "$1"
  exit "$2"
}

# Prints when this process started, in the kernel's own count: with the pid it names one process for ever.
gps_start_time() {
  read -r gps_stat </proc/$$/stat || return
  # The second field is a name in parentheses and may hold spaces; 20 fields follow to the start time.
  # shellcheck disable=SC2086
  set -- ${gps_stat##*) }
  printf %s "${20}"
}

[ -n "$gps_cd" ] || gps_fail no-such-directory 127
case $1 in
  */*) gps_file=$1 ;;
  *) gps_file=$(command -v -- "$1") ;;
esac
case $gps_file in
  '') gps_fail no-such-command 127 ;;
  */*)
    [ -e "$gps_file" ] || gps_fail no-such-command 127
    [ ! -d "$gps_file" ] || gps_fail is-a-directory 126
    [ -x "$gps_file" ] || gps_fail not-executable 126
    ;;
esac
if [ -n "$gps_hash" ]; then
  gps_verify
  # The file by its path: `exec` alone would go on to the next one in the PATH if this one cannot be executed.
  shift
  set -- "$gps_file" "$@"
fi
printf '%s\n' "$gps_mark" >&2
printf '%s started pid=%s start=%s supervisor=%s platform=%s dir=%s\n' "$gps_mark" "$$" \
  "$(gps_start_time 2>/dev/null)" "$PPID" "$gps_platform" "$PLUGIN_UNIX_SOCKET_DIR"
exec "$@"
