#!/bin/sh
# Builds dropbear 2025.89 in .cache/dropbear-2025.89, from the source that Debian has, known by its digest. Needs a C compiler,
# make, bzip2 and curl.
set -eu
name=dropbear-2025.89
source=http://deb.debian.org/debian/pool/main/d/dropbear/dropbear_2025.89.orig.tar.bz2
digest=0d1f7ca711cfc336dc8a85e672cab9cfd8223a02fe2da0a4a7aeb58c9e113634
cache=$(cd "$(dirname "$0")/../.." && pwd)/.cache
[ ! -x "$cache/$name/dropbear" ] || exit 0
mkdir -p "$cache"
work=$(mktemp -d "$cache/building-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
curl -fsSL -o source.tar.bz2 "$source"
echo "$digest  source.tar.bz2" | sha256sum -c - >/dev/null
tar -xjf source.tar.bz2
cd "$name"
./configure --enable-bundled-libtom --disable-zlib --disable-lastlog --disable-utmp --disable-wtmp >configure.log 2>&1
make -j2 PROGRAMS="dropbear dropbearconvert" >make.log 2>&1
mkdir "$work/built"
mv dropbear dropbearconvert "$work/built/"
rm -rf "${cache:?}/$name"
mv "$work/built" "$cache/$name"
