#!/bin/bash
cd /testbed
ln -sfn libcjson_utils.so.1.7.15 /usr/local/lib/libcjson_utils.so.1
