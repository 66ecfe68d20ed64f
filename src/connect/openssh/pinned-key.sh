# A KnownHostsCommand: says that the key which was shown is on record, if it is one of those that are trusted.
# $1: its fingerprint; $2: the host's name; $3, $4: the key's type and the key; from $5 on: the fingerprints to trust.
gps_shown=$1 gps_line="$2 $3 $4"
shift 4
for gps_pin; do
  [ "$gps_pin" != "$gps_shown" ] || printf '%s\n' "$gps_line"
done
