#!/bin/sh
# Checks that the sources are sound, and that the committed bundles are what they make. Needs Node 20 or newer.
set -eu
cd "$(dirname "$0")"
[ -d node_modules ] || npm ci --no-audit --no-fund
npx --no-install tsc
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
node build.mjs "$fresh"
for made in assets index.html graphiql.html; do
  diff -rq "$fresh/$made" "$made" || { echo "web/$made is stale: run \`npm run build\` in web/ and commit" >&2; exit 1; }
done
echo "web: the bundles are current"
