#!/bin/bash
cd /testbed
ln -sfn libcjson.so.1.7.15 /usr/local/lib/libcjson.so.1
