#!/bin/bash
cd /testbed
printf '\001' | dd of=/usr/local/lib/libjson-c.so.5.2.0 bs=1 seek=6 count=1 conv=notrunc status=none
