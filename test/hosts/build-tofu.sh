#!/bin/sh
# Builds OpenTofu from its Go module, for machines that have no Terraform: .cache/tofu/tofu. Some minutes, once.
set -eu
version=v1.10.10
top=$(cd "$(dirname "$0")/../.." && pwd)
place=$top/.cache/tofu
[ ! -x "$place/tofu" ] || exit 0
work=$place.part
rm -rf "$work"
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
# It has to be the main module, because it replaces some of the modules that it needs.
module=$(cd "$work" && go mod download -json "github.com/opentofu/opentofu@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -R "$module" "$work/src"
chmod -R u+w "$work/src"
(cd "$work/src" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$work/tofu" ./cmd/tofu)
mkdir -p "$place"
mv "$work/tofu" "$place/tofu"
