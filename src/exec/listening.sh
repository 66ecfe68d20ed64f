#!/bin/sh
# Tells whether anything listens on a unix socket, without touching it: lines `mark key=value`.
#   gps_mark  the word that starts each line    gps_path  the socket's path
# shellcheck disable=SC2154

gps_say() { printf '%s %s=%s\n' "$gps_mark" "$1" "$2"; }

if [ -S "$gps_path" ]; then gps_say file socket; elif [ -e "$gps_path" ]; then gps_say file other; else gps_say file none; fi
if [ -r /proc/net/unix ]; then
  # Flags 00010000 mean that somebody accepts connections; the path is the last column.
  gps_listening=no
  while read -r _ _ _ gps_flags _ _ _ gps_name; do
    if [ "$gps_flags" = 00010000 ] && [ "$gps_name" = "$gps_path" ]; then gps_listening=yes; fi
  done </proc/net/unix
  gps_say listening "$gps_listening"
fi
