#!/bin/sh
# Tells what kind of machine this is and what kind of file the plugin is, as lines `mark key=value`.
#   gps_mark  the word that starts each line    gps_command  the program    gps_cd  its directory, or nothing
# shellcheck disable=SC2154

gps_say() { printf '%s %s=%s\n' "$gps_mark" "$1" "$2"; }

gps_say uname "$(uname -srm 2>/dev/null)"
gps_say user "$(id 2>/dev/null)"
gps_say path "$PATH"
gps_say directory "$(pwd)"
if [ -n "$gps_cd" ] && ! cd -- "$gps_cd" 2>/dev/null; then gps_say cd failed; fi
case $gps_command in
  */*) gps_file=$gps_command ;;
  *) gps_file=$(command -v -- "$gps_command") ;;
esac
gps_say file "$gps_file"
if [ -e "$gps_file" ]; then
  # ls is the one tool that shows mode and owner everywhere.
  # shellcheck disable=SC2012
  gps_say listing "$(ls -ldL -- "$gps_file" 2>/dev/null | head -n 1)"
  gps_say header "$(od -An -v -tx1 -N 20 -- "$gps_file" 2>/dev/null | tr -d ' \n')"
  # The loader that a dynamic ELF program asks for is the first path in its first page. Busybox knows no [:print:].
  gps_loader_path=$(head -c 8192 -- "$gps_file" 2>/dev/null | LC_ALL=C tr -c ' -~' '\n' | grep -m 1 -E '^/[A-Za-z0-9_./-]*ld[A-Za-z0-9_.-]*so[.0-9]*$')
  if [ -n "$gps_loader_path" ]; then
    gps_say loader "$gps_loader_path"
    [ -e "$gps_loader_path" ] || gps_say loader_missing "$gps_loader_path"
  fi
  if [ ! -d "$gps_file" ] && IFS= read -r gps_first <"$gps_file" 2>/dev/null; then
    case $gps_first in '#!'*) gps_say shebang "$gps_first" ;; esac
  fi
  gps_say mounted "$(df -P -- "$gps_file" 2>/dev/null | tail -n 1)"
fi
