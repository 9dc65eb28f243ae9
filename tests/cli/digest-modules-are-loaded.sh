#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The module in examples/ builds by itself and is used when it is named, by either face; what is no
# module, or not one for this library, is refused with a reason.
. "$(dirname "$0")/words.sh"
requires make "${CC:=cc}" jq
source=$(readlink -f "$INTACT_TEST_LIB/../..")
volume=$(image jclean-crc32c-512)

cp "$source/examples/digest-module/"* "$work"
run 0 env -u CFLAGS -u LDFLAGS make -C "$work" CC="$CC" CPPFLAGS="-I$source/include" CFLAGS="-O1 -Werror"
module=$work/example.so

expect 0 check --json "$volume"
blocks=$(json .blocks)
for choice in example example:room=3; do
	for policy in sync async; do
		expect 0 check --json --verbose --digest-module "$module" --digest-driver "$choice" \
			--digest-policy $policy "$volume"
		has err "driver crc32c-example, ${policy}hronous (as named)"
		json_is .driver '"example"'
		json_is .blocks "$blocks"
	done
done

# By the policy, it is one among others; and others can compute by it.
expect 0 check --json --digest-module "$module" "$volume"
json_is .driver '"isal"'
expect 0 check --json --digest-module "$module" --digest-driver workers:over=example "$volume"
json_is .driver '"workers"'
json_is .blocks "$blocks"

# It does what it can do.
expect 2 check --digest-module "$module" --digest-driver example --integrity sha256 \
	"$(image jclean-sha256-4096)"
has err 'no driver called example'
expect 2 check --digest-module "$module" --digest-driver example:room=0 "$volume"
has err 'option room is not a number of 1 to 1024'
expect 2 check --digest-module "$module" --digest-driver example:rooms=1 "$volume"
has err "driver example has no option 'rooms'; it has room"
expect 2 check --digest-module "$module" --digest-driver example:room "$volume"
has err 'option room needs a value'

# What is none.
refused 2 'No such file or directory' check --digest-module "$work/none.so" "$volume"
refused 2 'cannot load digest module' check --digest-module "$work/Makefile" "$volume"

# module NAME DEFINITION: one that says something else of itself
module() {
	printf '#include <intact-digest.h>\n%s\n' "$2" >"$work/$1.c"
	run 0 "$CC" -I"$source/include" -std=gnu11 -fPIC -shared -o "$work/$1.so" "$work/$1.c"
}
declare='const struct intact_digest_module intact_digest_module ='
module nothing 'int something_else = 1;'
refused 2 'not a digest driver: no symbol intact_digest_module' \
	check --digest-module "$work/nothing.so" "$volume"
module newer "$declare {INTACT_DIGEST_ABI + 1, 0, 0, 0, 0};"
refused 2 'made for version' check --digest-module "$work/newer.so" "$volume"
module odd "$declare {INTACT_DIGEST_ABI, 1, 2, 3, 0};"
refused 2 'its structures have other sizes' check --digest-module "$work/odd.so" "$volume"
module empty "$declare INTACT_DIGEST_MODULE(0);"
refused 2 'has no drivers' check --digest-module "$work/empty.so" "$volume"
module half "static const struct intact_digest_driver half = {.name = \"half\", .flags = INTACT_DRIVER_SYNC};
static const struct intact_digest_driver *const list[] = {&half, 0};
$declare INTACT_DIGEST_MODULE(list);"
refused 2 'driver half lacks functions' check --digest-module "$work/half.so" "$volume"
sed 's/\.name = "example"/.name = "isal"/' "$work/example.c" >"$work/twin.c"
run 0 "$CC" -I"$source/include" -std=gnu11 -fPIC -shared -o "$work/twin.so" "$work/twin.c"
refused 2 'there is a driver isal already' check --digest-module "$work/twin.so" "$volume"
