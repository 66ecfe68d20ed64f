#!/bin/sh
# Sees to it that the images debian:SUITE-slim are there. Asks the engine, then a registry; where none answers, makes
# them from Debian's packages, which takes root and mmdebstrap or debootstrap.
#
#   docker/base.sh bookworm trixie
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Where this machine itself installs from.
mirror() {
  {
    cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true
    echo URIs: http://deb.debian.org/debian
  } | sed -n -e 's/^URIs: *\(http[^ ]*\).*/\1/p' -e 's/^deb  *\(\[[^]]*\] *\)*\(http[^ ]*\).*/\2/p' | head -n 1
}

# Writes the file system of a suite as $work/SUITE.tar.
make_tree() {
  if command -v mmdebstrap >/dev/null; then
    mmdebstrap --quiet --variant=minbase --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      "$1" "$work/$1.tar" "$(mirror)"
  elif command -v debootstrap >/dev/null; then
    debootstrap --variant=minbase "$1" "$work/$1" "$(mirror)" >&2
    tar -C "$work/$1" -cf "$work/$1.tar" .
  else
    echo "No registry gives debian:$1-slim, and there is no mmdebstrap to make it: apt-get install mmdebstrap" >&2
    return 1
  fi
}

for suite in "$@"; do
  image=debian:$suite-slim
  docker image inspect "$image" >/dev/null 2>&1 && continue
  timeout 120 docker pull --quiet "$image" >/dev/null 2>"$work/pull" && continue
  echo "$image: no registry gives it ($(tail -n 1 "$work/pull")). Making it from Debian's packages." >&2
  make_tree "$suite"
  docker import --change 'CMD ["bash"]' "$work/$suite.tar" "$image" >/dev/null
  rm -rf "${work:?}/$suite" "$work/$suite.tar"
done
