#!/bin/bash
cd /testbed
printf '\002' | dd of=/usr/local/lib/libcjson.so.1.7.15 bs=1 seek=4 count=1 conv=notrunc status=none
