# Runs "$@" for as long as somebody holds our stdin open, and ends it when nobody does: whoever started us may have been
# killed. Our end is that of the command.
exec 3<&0 </dev/null
"$@" 3<&- &
gps_child=$!
(
  while read -r _; do :; done <&3
  kill "$gps_child"
) >/dev/null 2>&1 &
gps_watch=$!
exec 3<&-
wait "$gps_child"
gps_status=$?
kill "$gps_watch" 2>/dev/null
exit "$gps_status"
