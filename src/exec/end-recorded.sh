#!/bin/sh
# Ends a plugin whose supervisor does not answer. The process is known by pid and start time, so a stranger that got
# its pid is left alone. Goes behind family.sh.
#   gps_mark  the word that starts each line    gps_pid, gps_start  the plugin    gps_supervisor  its parent
#   gps_dir   its private directory, or nothing
# Says `state=gone` or `state=alive`.
# shellcheck disable=SC2154

gps_say() { printf '%s %s=%s\n' "$gps_mark" "$1" "$2"; }

# True while the recorded process lives. A process that is dead but not reaped does not count.
gps_is_alive() {
  if [ ! -r /proc/self/stat ]; then kill -0 "$gps_pid" 2>/dev/null; return; fi
  read -r gps_stat 2>/dev/null </proc/"$gps_pid"/stat || return 1
  # shellcheck disable=SC2086
  set -- ${gps_stat##*) }
  case $1 in [XZ]) return 1 ;; esac
  [ -z "$gps_start" ] || [ "${20}" = "$gps_start" ]
}

# Prints the pids of the plugin's family. Its session has its pid, so that counts only if the pid was seen to be its own.
gps_family() {
  [ -z "$gps_seen" ] || gps_session
  [ -z "$gps_dir" ] || gps_inheritors
}

gps_seen=
if gps_is_alive; then gps_seen=1; fi
# A supervisor that was frozen, alone or with its group, goes on, finds its plugin gone and tidies up.
kill -s CONT "$gps_supervisor" 2>/dev/null
kill -s CONT -- "-$gps_supervisor" 2>/dev/null
gps_naps=50
while gps_is_alive || [ -n "$(gps_family)" ]; do
  if [ "$gps_naps" -eq 0 ]; then gps_say state alive; exit; fi
  if gps_is_alive; then
    kill -s KILL -- "-$gps_pid" 2>/dev/null
    kill -s KILL "$gps_pid" 2>/dev/null
  fi
  # shellcheck disable=SC2046
  kill -s KILL $(gps_family) 2>/dev/null
  sleep 0.1 2>/dev/null || sleep 1
  gps_naps=$((gps_naps - 1))
done
case $gps_dir in */gp-??????????) rm -rf -- "$gps_dir" ;; esac
gps_say state gone
