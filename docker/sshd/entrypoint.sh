#!/bin/sh
# Starts sshd in the foreground with fresh host keys. AUTHORIZED_KEY holds the public key that may log in as `dev`;
# arguments are further options of sshd.
set -eu
ssh-keygen -A >/dev/null
printf '%s\n' "${AUTHORIZED_KEY:?set AUTHORIZED_KEY to your public key}" >/home/dev/.ssh/authorized_keys
chown dev:dev /home/dev/.ssh/authorized_keys
chmod 600 /home/dev/.ssh/authorized_keys
exec /usr/sbin/sshd -D -e -o UsePAM=no -o PasswordAuthentication=no -o PidFile=none "$@"
