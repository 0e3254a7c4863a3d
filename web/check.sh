#!/bin/sh
# Checks that the sources are sound, and that the committed bundles are what they make.
set -eu
cd "$(dirname "$0")"
node --eval 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || { echo "Node 20 or newer is needed" >&2; exit 1; }
# npm notes there what it has installed.
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --ignore-scripts --no-audit --no-fund
npx --no-install tsc
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
node build.mjs "$fresh"
for made in assets index.html graphiql.html; do
  diff -rq "$fresh/$made" "$made" || { echo "web/$made is stale: run \`npm run build\` in web/ and commit" >&2; exit 1; }
done
echo "web: the bundles are current"
