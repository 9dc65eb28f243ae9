# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# Several tests in one machine, as starting one takes long:
#
#	several.sh "SCRIPT ARGUMENT…"…
#
# A script is in the same directory as this. The first that fails ends it all.

for call; do
	read -ra words <<<"$call"
	say "---- $call"
	# shellcheck disable=SC2016 # in that shell
	bash -c '. "$here/guest.sh"; . "$here/$0.sh" "$@"' "${words[@]}" || fail "$call"
	rm -f /v.img
done
