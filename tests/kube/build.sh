#!/usr/bin/env bash
# build.sh FILE: builds the Kubernetes of the tests. The first build takes some minutes, 4 GB of Go's build cache and 1.5 GB
# of memory; later ones take seconds.
set -euo pipefail
mkdir -p "$(dirname "$1")"
file=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")"
# Without these a client would take it for a version that is not.
version=k8s.io/component-base/version
CGO_ENABLED=0 go build -buildvcs=false -o "$file" \
    -ldflags "-s -w -X $version.gitVersion=v1.37.2 -X $version.gitMajor=1 -X $version.gitMinor=37" .
