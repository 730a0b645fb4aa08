#!/bin/sh
# sign.sh FILE: signs a program for Windows in place; see make.sh.
set -eu
file=$1
root=$(cd "$(dirname "$0")/../../../.." && pwd)
own=$root/cmd/key2oauth/packaging/out/snapshot.pem
set -- -n Key2OAuth -h sha256
if [ -n "${WINDOWS_CERTIFICATE:-}" ]; then
	# The password goes by a file: everybody can read a command line.
	password=$(mktemp)
	trap 'rm -f "$password"' EXIT
	printf %s "${WINDOWS_CERTIFICATE_PASSWORD:-}" >"$password"
	set -- "$@" -pkcs12 "$WINDOWS_CERTIFICATE" -readpass "$password"
	if [ -n "${WINDOWS_TIMESTAMP_URL:-}" ]; then
		set -- "$@" -ts "$WINDOWS_TIMESTAMP_URL"
	fi
elif [ -e "$own" ]; then
	set -- "$@" -certs "$own" -key "$own"
else
	echo "no certificate: $(basename "$file") is not signed" >&2
	exit 0
fi
osslsigncode sign "$@" -in "$file" -out "$file.signed" >/dev/null
mv "$file.signed" "$file"
chmod 755 "$file"
