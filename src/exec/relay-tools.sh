#!/bin/sh
# Tells what the box has that can relay a connection: `mark tool=name`, or no line. Each is tried, because a name in the
# PATH may be another program, or one that does not start.
#   gps_mark  the word that starts each line    gps_wanted  names, the best one first
# shellcheck disable=SC2154

gps_can() {
  case $1 in
    perl) perl -e 'use Socket; require IO; exit !defined &IO::Poll::_poll' ;;
    python3) python3 -ISc 'import _socket, os, select; os.set_blocking; select.poll' ;;
    socat) socat -V | grep -q 'WITH_UNIX 1' ;;
    # Only nmap's netcat passes on that the plugin has ended first; that of OpenBSD keeps it to itself.
    ncat) ncat --version 2>&1 | grep -q Ncat ;;
    nc) nc --version 2>&1 | grep -q Ncat ;;
  esac
}

for gps_tool in $gps_wanted; do
  if gps_can "$gps_tool" </dev/null >/dev/null 2>&1; then
    printf '%s tool=%s\n' "$gps_mark" "$gps_tool"
    break
  fi
done
