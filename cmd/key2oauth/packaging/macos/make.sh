#!/bin/sh
# Goreleaser calls this for the universal program for macOS: make.sh PROGRAM
# VERSION. It makes the bundle, which has no window and no icon in the Dock, and
# the disk image that it is dragged out of, in dist/installers.
#
# On macOS both are signed, with
#
#	APPLE_IDENTITY      the name of a Developer ID certificate in the keychain
#	APPLE_API_KEY       a file with a key of App Store Connect, to notarize with
#	APPLE_API_KEY_ID    its id
#	APPLE_API_ISSUER    its issuer
#
# Without the first the signature is one that any computer can make ("ad hoc"),
# without the others nothing is notarized. On Linux nothing is signed and the
# image is not compressed: it is for tests, and never published.
set -eu
program=$1 version=$2
root=$(cd "$(dirname "$0")/../../../.." && pwd)
here=$root/cmd/key2oauth/packaging/macos
image=$root/dist/installers/Key2OAuth-$version-macos.dmg
folder=$root/dist/macos-image # what the image holds
app=$folder/Key2OAuth.app
numbers=${version%%-*} # Apple wants nothing but numbers
system=$(uname -s)

sign() {
	[ "$system" = Darwin ] || return 0
	if [ -n "${APPLE_IDENTITY:-}" ]; then
		codesign --force --timestamp --options runtime --sign "$APPLE_IDENTITY" "$@"
	else
		codesign --force --sign - "$@"
	fi
}

sign --identifier com.github.key2oauth.key2oauth "$program" # which goes into the archive too

rm -rf "$folder" "$image"
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources" "$root/dist/installers"
sed "s/@NUMBERS@/$numbers/" "$here/Info.plist" >"$app/Contents/Info.plist"
printf 'APPL????' >"$app/Contents/PkgInfo"
cp "$program" "$app/Contents/MacOS/key2oauth"
chmod 755 "$app/Contents/MacOS/key2oauth"
cp "$root/icons/app/key2oauth.icns" "$app/Contents/Resources/key2oauth.icns"
cp "$root/LICENSE" "$app/Contents/Resources/LICENSE"
cp "$root/cmd/key2oauth/packaging/out/licenses/darwin/THIRD_PARTY_LICENSES" "$app/Contents/Resources/THIRD_PARTY_LICENSES"
ln -s /Applications "$folder/Applications"
sign "$app"

if [ "$system" = Darwin ]; then
	codesign --verify --strict "$app"
	hdiutil create -quiet -volname Key2OAuth -srcfolder "$folder" -fs HFS+ -format UDZO "$image"
	sign "$image"
	if [ -n "${APPLE_API_KEY:-}" ]; then
		xcrun notarytool submit "$image" --wait --key "$APPLE_API_KEY" --key-id "$APPLE_API_KEY_ID" --issuer "$APPLE_API_ISSUER"
		xcrun stapler staple "$image"
	fi
else
	genisoimage -quiet -V Key2OAuth -D -R -apple -no-pad -o "$image" "$folder"
fi
