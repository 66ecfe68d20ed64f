#!/bin/sh
# Starts sshd in the foreground with a fresh host key. Arguments are further options of sshd; these variables are read:
#
#   AUTHORIZED_KEY  the public key that opens dev, root, and robot, whose shell is nologin. Options may stand before it,
#                   as in authorized_keys
#   CONFIGURATION   the name of a file in configurations/, without `.conf`; none by default
#   LISTEN, PORT    where to listen: any address and port 22 by default
#   LOGIN_UID       the user id of dev, if it must be a certain one
set -eu
cd /sshd
[ -z "${LOGIN_UID:-}" ] || usermod --non-unique --uid "$LOGIN_UID" dev
[ -f host_key ] || ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f host_key
printf '%s\n' "${AUTHORIZED_KEY:?set AUTHORIZED_KEY to your public key}" >authorized_keys
{
  [ -z "${CONFIGURATION:-}" ] || cat "configurations/$CONFIGURATION.conf"
  cat sshd_config
} >current.conf
echo "Host key: $(cat host_key.pub)" >&2
echo "Host key: $(ssh-keygen -l -f host_key.pub)" >&2
exec /usr/sbin/sshd -D -e -f /sshd/current.conf -o "Port=${PORT:-22}" -o "ListenAddress=${LISTEN:-0.0.0.0}" "$@"
