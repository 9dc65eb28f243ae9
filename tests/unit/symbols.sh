#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
#	symbols.sh SHARED-LIBRARY STATIC-LIBRARY HEADER
#
# The library exports what its header declares, all of it and nothing else; and src/format calls
# nothing that could allocate, print, wait or know the time.
# shellcheck source=tests/lib/functions.sh
. "$INTACT_TEST_LIB/functions.sh"
requires nm ar
shared=$1 static=$(realpath "$2") header=$3

nm -D --defined-only "$shared" | awk '$2 != "A" {sub("@.*", "", $3); print $3}' |
	sort >"$work/exported"
# A declaration is the name in front of a parenthesis, outside of comments.
sed 's:/\*.*\*/::; /\/\*/,/\*\//d' "$header" | grep -oE '\bintact_[a-z_]+\(' | tr -d '(' |
	sort -u >"$work/declared"
[ -s "$work/declared" ] || fail "found no declarations in $header"
run 0 diff -u "$work/declared" "$work/exported"

# What src/format needs and does not have itself. The sanitizers' own calls do not count, nor does the
# compiler's arithmetic.
cd "$work"
ar x "$static"
nm --defined-only ./*format_*.o | awk 'NF == 3 {print $3}' | sort -u >defined
nm -u ./*format_*.o | awk '$1 == "U" {print $2}' | sort -u >needed
comm -13 defined needed >outside
allowed=(
	-e '__(asan|ubsan|sanitizer|tsan)_.*|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_'
	-e '__[a-z]+(si|di|ti)[0-9]'
	-e '__assert_fail'
	-e '(__)?(bcmp|mem(chr|cmp|cpy|move|set)|str(chr|cmp|len|ncmp|nlen)|v?snprintf)(_chk)?'
)
grep -vxE "${allowed[@]}" outside >forbidden || true
[ ! -s forbidden ] || fail "src/format calls $(tr '\n' ' ' <forbidden)"
