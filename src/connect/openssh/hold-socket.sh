# Keeps descriptor 4 open, a connection to a control socket, from when whoever started us has ended or lets go (which closes
# descriptor 3) to the end of the master. It does not block, so it has to be looked at now and then. See keep-master.ts.
read -r _ <&3
exec 3<&-
until cat <&4 >/dev/null 2>&1; do sleep 5; done
