#!/bin/bash
cd /testbed
printf '\070' | dd of=/testbed/src/markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so bs=1 seek=54 count=1 conv=notrunc status=none
