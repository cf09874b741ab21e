#!/bin/bash
cd /testbed
printf '\001' | dd of=/usr/lib/x86_64-linux-gnu/libyaml-0.so.2.0.9 bs=1 seek=6 count=1 conv=notrunc status=none
