#!/bin/sh
# Sees to it that the program's file has the digest that was asked for. Goes before launcher.sh, which calls gps_verify.
#   gps_file  the program's file    gps_hash      sha256, for example
#   gps_path  the session's PATH    gps_checksum  the digest that the file must have, in hexadecimal
#   gps_sent  the names of the variables that the host sent
# shellcheck disable=SC2154

# Prints the file's digest, by the first tool that can make it. To be called in a subshell: what the host sent is for the
# plugin alone, whose PATH may hold no tools and whose LD_PRELOAD may break them.
gps_digest() {
  # shellcheck disable=SC2086
  [ -z "$gps_sent" ] || unset $gps_sent
  PATH=$gps_path
  export PATH
  for gps_tool in "${gps_hash}sum" "shasum -a ${gps_hash#sha}" "openssl dgst -r -$gps_hash" "busybox ${gps_hash}sum"; do
    command -v "${gps_tool%% *}" >/dev/null || continue
    gps_found=$($gps_tool <"$gps_file")
    gps_found=${gps_found%% *}
    case $gps_found in *[!0-9a-f]* | '') continue ;; esac
    printf %s "$gps_found"
    return 0
  done
}

# Ends the launcher if the file is not the right one, or if nobody can know. A word that the shell itself has an answer to,
# `test` for example, names no file.
gps_verify() {
  case $gps_file in */*) ;; *) gps_fail checksum-of-a-word 126 ;; esac
  [ -r "$gps_file" ] || gps_fail checksum-unreadable 126
  gps_found=$(gps_digest 2>/dev/null)
  [ -n "$gps_found" ] || gps_fail checksum-without-tool 126
  [ "$gps_found" = "$gps_checksum" ] || gps_fail "checksum-mismatch $gps_found" 126
}
