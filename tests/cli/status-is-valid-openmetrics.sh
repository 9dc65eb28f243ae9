#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What Prometheus reads: every sample belongs to the family announced before it, families come once,
# counters end in _total, it ends with # EOF, and the numbers are those of --json.
. "$(dirname "$0")/device-words.sh"
requires python3

new_volume "$work/volume" 8M
new_volume "$work/other" 8M
opened "$work/volume" "$name"
first=$device
opened "$work/other" "$name-2"
dd if=/dev/zero of="$device" bs=4096 count=10 conv=notrunc,fsync status=none

cat >"$work/validate.py" <<'END'
import re, sys
text = sys.stdin.read()
assert text.endswith("# EOF\n"), "no EOF"
families, samples, current = {}, {}, None
for line in text.splitlines()[:-1]:
    words = line.split(" ", 3)
    if line.startswith("# TYPE "):
        current = words[2]
        assert current not in families, "twice: " + current
        families[current] = words[3]
        assert words[3] in ("gauge", "counter", "info"), line
    elif line.startswith("# UNIT "):
        assert words[2] == current and current.endswith("_" + words[3]), line
    elif line.startswith("# HELP "):
        assert words[2] == current, line
    else:
        m = re.fullmatch(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} ([0-9.]+)', line)
        assert m, "no sample: " + line
        suffix = {"gauge": "", "counter": "_total", "info": "_info"}[families[current]]
        assert m[1] == current + suffix, line
        assert (m[1], m[2]) not in samples, "twice: " + line
        samples[m[1], m[2]] = float(m[3])
for sample, value in samples.items():
    print(sample[0] + "{" + sample[1] + "}", value)
END

expect 0 status --openmetrics
python3 "$work/validate.py" <"$work/out" >"$work/samples" || fail "it is not valid"
for each in "$name" "$name-2"; do
	"$INTACT" status --json "$each" >"$work/json"
	grep -qF "intact_size_bytes{name=\"$each\"} $(jq '.sectors * 512' "$work/json").0" "$work/samples" ||
		fail "another size of $each"
	grep -qF "intact_requests_total{name=\"$each\",op=\"write\"} $(jq .requests.write.finished "$work/json").0" \
		"$work/samples" || fail "another number of writes of $each"
done
grep -qF "device=\"$first\"" "$work/samples" || fail "the device is not named"

# A volume with a mismatch: the status says so.
expect 0 status --openmetrics "$name"
python3 "$work/validate.py" <"$work/out" >"$work/samples" || fail "it is not valid"
! grep -qF "$name-2" "$work/samples" || fail "the other one is there, too"
refused 2 'not both' status --json --openmetrics "$name"
expect 0 close "$name-2"
expect 0 close "$name"
expect 0 status --openmetrics
python3 "$work/validate.py" <"$work/out" >/dev/null || fail "it is not valid"

# The path of the socket asks as well.
opened "$work/volume" "$name"
expect 0 status --json "$work/run/$name.sock"
json_is .name "\"$name\""
expect 0 status --json
json_is 'length' 1
json_is '.[0].name' "\"$name\""
closed
