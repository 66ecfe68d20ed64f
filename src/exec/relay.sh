#!/bin/sh
# Becomes a relay: a program that joins this channel's stdin and stdout with one connection on the box, or one that
# listens there. It says `mark open`, or `mark failed why`, and from then on stdout belongs to the connection.
#   gps_mark     the word that starts the line          gps_tool  one that relay-tools.sh has found
#   gps_network  unix or tcp                            gps_address, gps_port  a socket's path, or a host and its port
#   gps_boot     what perl or python3 begins with       gps_meeting  where a listener meets us, see relay-listen.py
#
# A server may say that stdout has ended only when stderr has too, so nobody may keep stderr longer than stdout; another
# server says it only when the relay has ended. So perl and python3 say on stderr how many bytes went to stdout, as
# `mark end 4711` when the other side has ended, or `mark broke 4711`.
# shellcheck disable=SC2154

case $gps_tool in
  perl) exec perl -e "$gps_boot" -- "$gps_mark" "$gps_network" "$gps_address" "$gps_port" "$gps_meeting" ;;
  python3) exec python3 -ISc "$gps_boot" "$gps_mark" "$gps_network" "$gps_address" "$gps_port" "$gps_meeting" ;;
esac

# The others do not say when they are connected.
if [ "$gps_network" = unix ] && [ ! -S "$gps_address" ]; then
  printf '%s failed there is no such socket\n' "$gps_mark"
  exit 1
fi
printf '%s open\n' "$gps_mark"
exec 2>/dev/null
case $gps_tool-$gps_network in
  # It waits for one day when one side has ended; half a second would be its own choice. Its addresses have a syntax of
  # their own, in which a backslash takes the meaning from the next character.
  socat-unix)
    gps_to=$(printf %s "$gps_address" | sed 's/[^A-Za-z0-9_./-]/\\&/g')
    exec socat -b 65536 -t 86400 -,shut-close "UNIX-CONNECT:$gps_to"
    ;;
  socat-tcp)
    case $gps_address in *:*) gps_address="[$gps_address]" ;; esac
    exec socat -b 65536 -t 86400 -,shut-close "TCP:$gps_address:$gps_port,nodelay"
    ;;
  *-unix) exec "$gps_tool" -U -- "$gps_address" ;;
  *-tcp) exec "$gps_tool" -- "$gps_address" "$gps_port" ;;
esac
