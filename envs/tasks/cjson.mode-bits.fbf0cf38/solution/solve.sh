#!/bin/bash
cd /testbed
chmod 644 /usr/local/lib/libcjson.so.1.7.15
