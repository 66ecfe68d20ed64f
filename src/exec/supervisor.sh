#!/bin/sh
# Owns one plugin on the box: starts it, listens to the host, ends it with all its descendants, tidies up.
#
# It arrives over stdin behind family.sh, read and evaluated by the loader (loader.ts), which leaves in
#   gps_end    the line that ends a document on stdin
#   gps_nl     a newline
# and by a head of assignments, which leaves in
#   gps_shell  the shell, an absolute path             gps_loader  the loader's own text
#   gps_mark   the word that starts each report        gps_name    the name of the private directory
#   gps_base   where to make it first, or nothing      gps_grace   seconds from TERM to KILL
#   gps_share  the group that it is shared with, or nothing
#   gps_lease  seconds to live without a heartbeat, 0: for ever
#   gps_spare  whether the plugin comes later: await.sh is there then; or nothing
# The next document on stdin is the launcher: environment, directory and command. It is passed on unread.
#
# stdin, from then on, is the host's line: `heartbeat` renews the lease; `stop`, the end of the file or an expired
# lease end the plugin. stdout and stderr are the plugin's. The exit status is the plugin's.
#
# Names begin with gps_ because a variable that the session's environment happens to hold would be exported again.
# No `return` goes without a number: in a function that a trap has called, bash would return the status from before.
# shellcheck disable=SC2154

gps_fail() {
  printf '%s failed reason=%s %s\n' "$gps_mark" "$1" "$2"
  exit 125
}

# Makes the private directory. mkdir fails if the name is taken, so the directory is ours and new. Its path is absolute,
# because the plugin may run elsewhere; the umask is for the directory alone, the plugin keeps the session's.
gps_make_directory() {
  for gps_parent in "$gps_base" "${TMPDIR:-}" /tmp "${XDG_RUNTIME_DIR:-}" /var/tmp "${HOME:-}"; do
    case $gps_parent in *"$gps_nl"*) continue ;; /*) ;; *) continue ;; esac
    gps_dir=$gps_parent/$gps_name
    if [ ${#gps_parent} -le 60 ] && (umask 077 && mkdir -m 700 "$gps_dir") 2>/dev/null; then
      gps_share_directory
      return 0
    fi
  done
  gps_fail no-private-directory 'tried TMPDIR, /tmp, XDG_RUNTIME_DIR, /var/tmp and HOME'
}

# Opens the directory to the group, which is its group before anybody else may enter. Why that failed is asked afterwards: a
# number is a group in any case, a name if somebody knows it.
gps_share_directory() {
  [ -n "$gps_share" ] || return 0
  chgrp -- "$gps_share" "$gps_dir" 2>/dev/null && chmod 770 "$gps_dir" 2>/dev/null && return 0
  rmdir "$gps_dir"
  case $gps_share in
    *[!0-9]*) getent group "$gps_share" >/dev/null 2>&1 || gps_is_listed || gps_fail no-such-group ;;
  esac
  gps_fail group-refused
}

gps_is_listed() {
  while IFS=: read -r gps_one _; do
    if [ "$gps_one" = "$gps_share" ]; then return 0; fi
  done </etc/group
  return 1
}

# Prints the pids below the plugin's, where there is no /proc to ask.
gps_tree() {
  ps -A -o pid= -o ppid= 2>/dev/null | awk -v root="$gps_pid" '
    { parent[$1] = $2 }
    END { for (p in parent) for (q = p; q in parent && q > 1; q = parent[q]) if (parent[q] == root) { print p; break } }'
}

gps_members() {
  if [ ! -r /proc/self/environ ]; then
    gps_tree
  else
    [ -z "$gps_group" ] || gps_session
    gps_inheritors
  fi
}

# True where nobody can be counted: Linux without /proc, as in a chroot. The plugin's group is signalled unseen then.
gps_blind() {
  [ -n "$gps_group" ] && [ ! -r /proc/self/environ ]
}

# Signals the plugin and its family, each once: to many programs a second TERM means to drop everything. KILL goes to the
# group as well, for those who were not there yet when the family was counted.
gps_signal() {
  if gps_blind && [ "$1" != KILL ]; then
    kill -s "$1" -- "-$gps_pid" 2>/dev/null
    return 0
  fi
  gps_sent=' '
  for gps_one in $gps_leader $(gps_members); do
    case $gps_sent in *" $gps_one "*) continue ;; esac
    gps_sent="$gps_sent$gps_one "
    kill -s "$1" "$gps_one" 2>/dev/null
  done
  if [ "$1" = KILL ] && [ -n "$gps_group" ]; then kill -s KILL -- "-$gps_pid" 2>/dev/null; fi
}

gps_alive() {
  [ -n "$gps_leader" ] && kill -0 "$gps_leader" 2>/dev/null && return 0
  [ -n "$(gps_members)" ]
}

# Sleeps in a child, so that a trap runs at once; the trap of those who may be ended meanwhile ends that child too.
gps_nap() {
  sleep "$1" 2>/dev/null &
  wait "$!"
}

# Ends the child that sleeps, if there is one. `$!` names it from its first moment on, while an assignment after it would
# come too late for a trap; before it has become `sleep` it is still a shell, and loses any signal but KILL.
gps_wake() {
  [ "$!" = "$gps_others" ] || kill -s KILL "$!" 2>/dev/null
}

# shellcheck disable=SC2317
gps_leave() {
  gps_wake
  exit 0
}

# Spends one of gps_naps, a tenth of a second; ten of them where sleep knows no tenths.
gps_spend() {
  gps_naps=$((gps_naps - 1))
  gps_nap 0.1
  gps_slept=$?
  # A sleep that knows no tenths fails at once; one that a signal ended has slept long enough.
  if [ "$gps_slept" -gt 0 ] && [ "$gps_slept" -le 128 ]; then
    gps_nap 1
    gps_naps=$((gps_naps - 9))
  fi
}

# Leaves a note for the others among us. In a shared directory it is a directory, because `>` would follow a link that a
# member of the group has put in its place.
gps_note() {
  if [ -n "$gps_share" ]; then mkdir "$1"; else printf '' >"$1"; fi
}

# TERM, patience, KILL, until nothing of the plugin runs. Who makes children while they are counted takes more than one
# KILL; what the kernel itself holds is given up after five seconds. A file tells the
# others among us that TERM was sent.
gps_stop() {
  gps_alive || return 0
  if [ ! -e "$gps_told" ]; then
    gps_note "$gps_told"
    gps_signal TERM
  fi
  gps_naps=$((gps_grace * 10))
  while [ "$gps_naps" -gt 0 ] && gps_alive; do gps_spend; done
  gps_naps=50
  while [ "$gps_naps" -gt 0 ] && gps_alive; do
    gps_signal KILL
    gps_spend
  done
}

# Ends the plugin, from a child of the supervisor. If that was killed itself, nobody else tidies up. If it has tidied up
# already, the pid may be somebody else's.
gps_stop_for_parent() {
  [ -d "$gps_dir" ] || return 0
  gps_stop
  kill -0 "$$" 2>/dev/null && return 0
  rm -rf -- "$gps_dir"
  [ -z "$gps_watcher" ] || kill "$gps_watcher" 2>/dev/null
}

# Ends the plugin when no heartbeat has come for a whole lease.
gps_watch() {
  gps_others=$!
  trap 'gps_renewed=1' USR1
  trap gps_leave TERM
  # A TERM from before the trap may have been lost. What is looked at here was made before the TERM was sent.
  [ ! -e "$gps_dir/.over" ] && [ -d "$gps_dir" ] || exit 0
  while :; do
    gps_renewed=
    gps_nap "$gps_lease"
    [ -n "$gps_renewed" ] || break
    gps_wake
  done
  gps_stop_for_parent
}

# Obeys the host. To bash a TMOUT that the session has set is a limit on `read`, and looks like the end of the file.
gps_listen() {
  gps_others=$!
  unset TMOUT
  while IFS= read -r gps_line <&3; do
    case $gps_line in
      heartbeat) [ -z "$gps_watcher" ] || kill -s USR1 "$gps_watcher" 2>/dev/null ;;
      stop) break ;;
    esac
  done
  trap gps_leave TERM
  gps_stop_for_parent
}

[ -z "$gps_spare" ] || gps_await
gps_launcher=
until IFS= read -r gps_line || exit 99; [ "$gps_line" = "$gps_end" ]; do
  gps_launcher=$gps_launcher$gps_line$gps_nl
done
exec 3<&0 </dev/null
# From here on no signal may end us before we have tidied up.
gps_early=
gps_woken=
trap 'gps_early=1' TERM HUP INT
gps_make_directory
gps_told=$gps_dir/.told

# The plugin gets a session of its own, so that its group can be killed without killing us. Its program travels through
# a pipe and printf is the shell's own, so nothing of it is in any argv.
gps_group=
command -v setsid >/dev/null 2>&1 && gps_group=setsid
printf '%s\n%s%s\n' "$gps_end" "$gps_launcher" "$gps_end" |
  PLUGIN_UNIX_SOCKET_DIR=$gps_dir TMPDIR=$gps_dir $gps_group "$gps_shell" -c "$gps_loader" 3<&- &
gps_pid=$!
gps_leader=$gps_pid
gps_launcher=
# What a shell says about its children's ends is not the plugin's to say.
exec >/dev/null 2>&1

# dash has no timed read, so the lease has a process of its own. Until that process listens to USR1, it is ignored;
# the plugin was started before that, so it does not inherit this.
gps_watcher=
if [ "$gps_lease" -gt 0 ]; then
  trap '' USR1
  gps_watch 3<&- &
  gps_watcher=$!
fi
gps_listen &
gps_listener=$!
exec 3<&-

gps_obey() {
  trap '' TERM HUP INT
  gps_woken=1
  gps_stop &
}
trap gps_obey TERM HUP INT
[ -z "$gps_early" ] || gps_obey
wait "$gps_pid"
gps_status=$?
# A signal interrupts `wait` before the plugin has ended. We do not wait again before it has, and our other children with
# it: if a signal comes at the moment of its end, bash forgets that end, and waits for it as long as it has a child.
gps_naps=0
while [ -n "$gps_woken" ] && kill -0 "$gps_pid" 2>/dev/null; do gps_spend; done
trap '' TERM HUP INT
gps_note "$gps_dir/.over"
# shellcheck disable=SC2086
kill $gps_listener $gps_watcher 2>/dev/null
if [ -n "$gps_woken" ]; then
  wait "$gps_pid"
  gps_again=$?
  [ "$gps_again" -eq 127 ] || gps_status=$gps_again
fi

# The plugin has been reaped: its pid may soon be somebody else's.
gps_leader=
gps_stop
if gps_blind; then kill -s KILL -- "-$gps_pid" 2>/dev/null; fi
rm -rf -- "$gps_dir"
exit "$gps_status"
