#!/bin/bash
cd /testbed
printf '\001' | dd of=/usr/local/lib/libcjson_utils.so.1.7.15 bs=1 seek=6 count=1 conv=notrunc status=none
