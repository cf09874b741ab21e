#!/bin/bash
# Judged in place: 5 fail to pass, 2429 guard.
cd /testbed
mkdir -p /logs/verifier
while IFS= read -r line; do
    line=${line#export }; value=${line#*=}; value=${value#[\"']}; value=${value%[\"']}
    [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] && export "${line%%=*}=$value"
done < /etc/environment
plugins=$(mktemp -d)
cat > "$plugins/cligym_record.py" <<'END'
import json, os
seen = {}
def pytest_runtest_logreport(report):
    seen.setdefault(report.nodeid, []).append(report.outcome == "passed")
def pytest_sessionfinish():
    with open(os.environ["CLIGYM_RECORD"], "w") as stream:
        json.dump(sorted(name for name, all_ in seen.items() if len(all_) == 3 and all(all_)), stream)
END
chmod -R a+rX "$plugins"
record=$(mktemp -d); chmod 777 "$record"
export CLIGYM_RECORD="$record/passed.json" PYTHONPATH="$plugins${PYTHONPATH:+:$PYTHONPATH}"
runuser dev -c 'cd /testbed && python -m pytest -p cligym_record -q -p no:cacheprovider -o addopts= --continue-on-collection-errors --timeout=60 tests -m '"'"'not stress'"'"'' > /logs/verifier/output.txt 2>&1; status=$?
reward=$(env -i /usr/bin/python3 -I - "$CLIGYM_RECORD" <<'END'
import hashlib, json, sys
try:
    passed = json.load(open(sys.argv[1]))
except (OSError, ValueError):
    passed = []
text = "".join(name + "\n" for name in sorted(passed))
print(int(hashlib.sha256(text.encode()).hexdigest() == "a534182e128ecf22deb6a7ad4fc507d3d2f99d8d7e5758e9b667a84cea6c9e02"))
END
)
echo "{\"reward\": ${reward:-0}}" > /logs/verifier/.reward
mv /logs/verifier/.reward /logs/verifier/reward.json
