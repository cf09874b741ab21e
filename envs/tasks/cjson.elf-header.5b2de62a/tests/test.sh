#!/bin/bash
# Judged in place: 4 fail to pass, 18 guard.
cd /testbed
mkdir -p /logs/verifier
runuser dev -c 'cd /testbed && ctest --test-dir build --output-on-failure' > /logs/verifier/output.txt 2>&1; status=$?
reward=$([ $status = 0 ] && echo 1 || echo 0)
echo "{\"reward\": $reward}" > /logs/verifier/.reward
mv /logs/verifier/.reward /logs/verifier/reward.json
