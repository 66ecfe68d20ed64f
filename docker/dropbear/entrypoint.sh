#!/bin/sh
# Starts dropbear in the foreground with a fresh host key. Arguments are further options of dropbear; these variables
# are read:
#
#   AUTHORIZED_KEY  the public key that opens dev and root. Options may stand before it, as in authorized_keys
#   LISTEN, PORT    where to listen: any address and port 22 by default
set -eu
cd /dropbear
[ -f host_key ] || dropbearkey -t ed25519 -f host_key >/dev/null 2>&1
for home in /root /home/dev; do
  printf '%s\n' "${AUTHORIZED_KEY:?set AUTHORIZED_KEY to your public key}" >"$home/.ssh/authorized_keys"
done
chown dev:dev /home/dev/.ssh/authorized_keys
chmod 600 /root/.ssh/authorized_keys /home/dev/.ssh/authorized_keys
dropbearkey -y -f host_key | sed -n 's/^ssh-/Host key: &/p' >&2
exec dropbear -F -E -s -r /dropbear/host_key -p "${LISTEN:-0.0.0.0}:${PORT:-22}" "$@"
