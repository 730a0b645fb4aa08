#!/bin/sh
# Goreleaser calls this for each program for Windows that it has built:
#
#	make.sh PROGRAM VERSION ARCH console|gui
#
# It signs the program and, once both of an architecture are there, makes their
# installer in dist/installers. Signing takes
#
#	WINDOWS_CERTIFICATE           a file of certificate and key, PKCS #12
#	WINDOWS_CERTIFICATE_PASSWORD  its password
#	WINDOWS_TIMESTAMP_URL         a server that says when it was signed
#
# A snapshot without them is signed by a certificate of its own, which nothing
# trusts; a release without them is not signed.
set -eu
program=$1 version=$2 arch=$3 kind=$4
root=$(cd "$(dirname "$0")/../../../.." && pwd)
here=$root/cmd/key2oauth/packaging/windows
mkdir -p "$root/dist/installers" "$root/dist/windows-$arch"

"$here/sign.sh" "$program"
# By a rename, so that who looks for it never finds half of it.
cp "$program" "$root/dist/windows-$arch/.$kind.exe"
mv "$root/dist/windows-$arch/.$kind.exe" "$root/dist/windows-$arch/$kind.exe"

# Both programs are built at once. The second one finds the first one's; if both
# find both, one of them makes the folder.
cd "$root/dist/windows-$arch"
if ! [ -e console.exe ] || ! [ -e gui.exe ] || ! mkdir making 2>/dev/null; then
	exit 0
fi
size=$(($(wc -c <console.exe) / 1024 + $(wc -c <gui.exe) / 1024))
makensis -V2 -NOCD -WX \
	-DVERSION="$version" -DNUMBERS="${version%%-*}.0" -DSIZE="$size" -DROOT="$root" \
	-DCONSOLE="$PWD/console.exe" -DGUI="$PWD/gui.exe" -DSIGN="$here/sign.sh" \
	-DOUT="$root/dist/installers/Key2OAuth-$version-windows-$arch-setup.exe" "$here/installer.nsi"
