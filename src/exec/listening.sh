#!/bin/sh
# Tells whether anything listens on a unix socket, without touching it: lines `mark key=value`.
#   gps_mark  the word that starts each line    gps_path  the socket's path
# shellcheck disable=SC2154

gps_say() { printf '%s %s=%s\n' "$gps_mark" "$1" "$2"; }

# Flags 00010000 mean that somebody accepts connections; the path is the last column. Read through a pipe: bash would
# seek back after each line, and miss some when sockets of others come and go. grep is there for speed.
gps_look() {
  { grep -F -- "$gps_path" /proc/net/unix 2>/dev/null || [ "$?" -eq 1 ] || cat /proc/net/unix; } | {
    gps_found=1
    while read -r _ _ _ gps_flags _ _ _ gps_name; do
      if [ "$gps_flags" = 00010000 ] && [ "$gps_name" = "$gps_path" ]; then gps_found=0; fi
    done
    [ "$gps_found" = 0 ]
  }
}

if [ -S "$gps_path" ]; then gps_say file socket; elif [ -e "$gps_path" ]; then gps_say file other; else gps_say file none; fi
if [ -r /proc/net/unix ]; then
  # The kernel hands a long table out in pieces, between which it may change.
  if gps_look || gps_look; then gps_say listening yes; else gps_say listening no; fi
fi
