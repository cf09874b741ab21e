#!/bin/bash
cd /testbed
chmod 644 /usr/local/lib/libcjson_utils.so.1.7.15
