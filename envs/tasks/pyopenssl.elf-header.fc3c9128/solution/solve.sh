#!/bin/bash
cd /testbed
printf '\177' | dd of=/usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so bs=1 seek=0 count=1 conv=notrunc status=none
