#!/bin/sh
# Lets a supervisor wait for its plugin. It stands before supervisor.sh, which calls gps_await if gps_spare is set.
#
# Until the line that begins the launcher, stdin is the host's line already: `heartbeat` renews the lease. The end of the
# file or an expired lease end the supervisor; it has made nothing by then, so there is nothing to tidy up.
# shellcheck disable=SC2154,SC2034

# Whether our parent has died, so that its pid may be somebody else's. Where /proc does not show it as gps_self, as in
# another pid namespace or where there is none, nobody can tell.
gps_orphan() {
  [ "$gps_self" = "$$" ] || return 1
  { read -r gps_stat </proc/self/stat; } 2>/dev/null || return 1
  gps_stat=${gps_stat##*) }
  gps_stat=${gps_stat#* }
  [ "${gps_stat%% *}" != "$$" ]
}

# Ends the supervisor, whose child this is, when no heartbeat has come for a whole lease.
gps_doze() {
  gps_others=$!
  trap 'gps_renewed=1' USR1
  trap gps_leave TERM
  while :; do
    gps_renewed=
    gps_nap "$gps_lease"
    [ -n "$gps_renewed" ] || break
    gps_wake
  done
  gps_orphan || kill "$$" 2>/dev/null
}

gps_rouse() {
  [ -z "$gps_dozer" ] || kill "$gps_dozer" 2>/dev/null
}

# Who dozes holds neither output, or the server would take them for open. The plugin's environment must be as it was, so
# what bash takes for a limit on `read` is put back.
gps_await() {
  gps_tmout=${TMOUT+=$TMOUT}
  unset TMOUT
  gps_dozer=
  gps_self=
  { read -r gps_self _ </proc/self/stat; } 2>/dev/null
  if [ "$gps_lease" -gt 0 ]; then
    trap '' USR1
    gps_doze >/dev/null 2>&1 &
    gps_dozer=$!
  fi
  while :; do
    IFS= read -r gps_line || {
      gps_rouse
      exit 99
    }
    [ "$gps_line" != "$gps_end" ] || break
    [ -z "$gps_dozer" ] || kill -s USR1 "$gps_dozer" 2>/dev/null
  done
  gps_rouse
  trap - USR1
  [ -z "$gps_tmout" ] || export "TMOUT$gps_tmout"
}
