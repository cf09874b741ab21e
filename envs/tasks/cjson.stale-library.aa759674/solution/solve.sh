#!/bin/bash
cd /testbed
install -m 644 /testbed/build/libcjson_utils.so.1.7.15 /usr/local/lib/libcjson_utils.so.1.7.15
