#!/bin/bash
# Judged in place: 1 fail to pass, 21 guard.
cd /testbed
mkdir -p /logs/verifier
while IFS= read -r line; do
    line=${line#export }; value=${line#*=}; value=${value#[\"']}; value=${value%[\"']}
    [[ $line =~ ^[A-Za-z_][A-Za-z0-9_]*= ]] && export "${line%%=*}=$value"
done < /etc/environment
runuser dev -c 'cd /testbed && ctest --test-dir build --output-on-failure' > /logs/verifier/output.txt 2>&1; status=$?
reward=$([ $status = 0 ] && echo 1 || echo 0)
echo "{\"reward\": ${reward:-0}}" > /logs/verifier/.reward
mv /logs/verifier/.reward /logs/verifier/reward.json
